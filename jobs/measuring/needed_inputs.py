"""What the metrics of a planned job need beside δ, and whether its stage gives it.

`all` takes what it finds, and its table says what is missing; a metric that the study names and
that can have no number is a mistake.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from analysis.metric import METRICS
from cluster.errors import UserError
from jobs.extraction.planned_places import positions_of
from jobs.kind import Upstream
from jobs.tokens.position_policy import FIRST_TOKEN

_WHAT = {
    "against": "another extraction to compare with",
    "toxic": "the directions that a `probe-direction` of the base finds",
}


def needed_inputs(metrics: Collection[str]) -> Mapping[str, Sequence[str]]:
    """Return input of `measure` -> those of the metrics that have no number without it."""
    chosen = {name: METRICS.find(name) for name in metrics}
    return {
        "against": [name for name, metric in chosen.items() if metric.NEEDS_AGAINST],
        "toxic": [name for name, metric in chosen.items() if metric.NEEDS_TOXIC],
    }


def require_inputs(
    named: Collection[str], over_answer: Collection[str], inputs: Mapping[str, Upstream]
) -> None:
    """Refuse metrics that can have no number, because the stage does not give what they need.

    Args:
        named: metrics that the study names.
        over_answer: metrics over an answer that it names.
        inputs: what the plan knows of the inputs that the stage gives.

    Raises:
        UserError: an input is not given, or the extraction keeps no first token of an answer.
    """
    for name, metrics in needed_inputs(named).items():
        if metrics and name not in inputs:
            raise UserError(
                f"{_subject(metrics, 'needs', 'need')} the input {name!r}, {_WHAT[name]}, which "
                "the stage does not give",
                where="metrics",
                hint=f"add `{name}: …` to the inputs of the stage, or leave out what needs it",
            )
    along = [name for name in named if METRICS.find(name).NEEDS_FIRST_TOKEN]
    kept = positions_of(inputs["delta"])
    for param, names in (("metrics", along), ("over_answer", sorted(over_answer))):
        if names and FIRST_TOKEN not in kept:
            raise UserError(
                f"{_subject(names, 'is', 'are')} held against the first token of answers, and the "
                f"extraction has no {FIRST_TOKEN} among its positions: {', '.join(kept)}",
                where=param,
                hint="give the extraction `positions: [response-depths]`",
            )


def _subject(names: Sequence[str], one: str, several: str) -> str:
    return f"{', '.join(sorted(names))} {one if len(names) == 1 else several}"
