"""Why a cell of a table holds no number where no job said so itself."""

from analysis.status import MEANINGS, Status
from analysis.tables.table import Cell

ENDPOINT = "endpoint"
"""Family of a model behind an endpoint: what it says is known, its weights are not."""

ANSWERABLE = frozenset({"toxic_rate", "toxic_score", "word_f1"})
"""Metrics that need no more of a model than what it says."""


def absent(family: object, metric: str, elsewhere: str | None) -> Cell:
    """An empty cell with its reason; `elsewhere` says that it was measured at another place."""
    if family == ENDPOINT and metric not in ANSWERABLE:
        return Cell(status=Status.NO_WEIGHTS, reason=MEANINGS[Status.NO_WEIGHTS])
    return Cell(status=Status.NOT_RUN, reason=elsewhere or MEANINGS[Status.NOT_RUN])
