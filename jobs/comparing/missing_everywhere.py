"""Which metrics of a stage have no number in any of its jobs, and why not?"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from analysis.metric import METRICS
from analysis.status import Status
from analysis.weight_metric import WEIGHT_METRICS
from jobs.artifacts.artifact import Artifact
from jobs.worker.measured_rows import FILE

_OF_SIZE = frozenset(
    {
        Status.BELOW_NOISE_FLOOR,
        Status.TOO_FEW_GROUPS,
        Status.TOO_FEW_ROWS,
        Status.TOO_FEW_SIZES,
        Status.OUT_OF_MEMORY,
    }
)
"""Statuses that more prompts, other models or other machines may change."""


@dataclass(frozen=True, kw_only=True)
class MissingEverywhere:
    """A metric without a number in every job of a stage."""

    metric: str
    """Its name, as the study writes it."""
    reason: str
    """The commonest reason that was given."""
    is_of_size: bool
    """True where more prompts or other models may change it."""


def missing_everywhere(
    metrics: Sequence[str], artifacts: Iterable[Artifact]
) -> Iterator[MissingEverywhere]:
    """Yield the metrics that no job has a number for.

    Args:
        metrics: names that the study gives.
        artifacts: of all jobs of a stage; each measured all of these metrics.
    """
    rows = [row for artifact in artifacts for row in _rows(artifact)]
    for metric in metrics:
        of_metric = [row for row in rows if _is_of(row[0], metric)]
        if any(has_value for *_, has_value in of_metric):
            continue
        reasons = Counter(reason or status for _, status, reason, _ in of_metric)
        yield MissingEverywhere(
            metric=metric,
            reason=reasons.most_common(1)[0][0] if reasons else "no row of it was written",
            is_of_size=any(status in _OF_SIZE for _, status, *_ in of_metric),
        )


def _is_of(value: str, metric: str) -> bool:
    """Tell whether a measured value is one of a metric: as it reports, or by its name's parts."""
    declared = METRICS.get(metric) or WEIGHT_METRICS.get(metric)
    reports = (metric,) if declared is None else declared.REPORTS
    prefixes = ("", "patched_", "recovered_")
    return any(
        value == prefix + name or value.startswith(f"{prefix}{name}_")
        for name in reports
        for prefix in prefixes
    )


def _rows(artifact: Artifact) -> Iterator[tuple[str, str, str | None, bool]]:
    """Yield metric, status, reason and whether there is a number, of every measurement."""
    from analysis.long_table.files import from_parquet

    columns = ("metric", "status", "reason", "value")
    for row in from_parquet(artifact.read(FILE)).select(columns).to_pylist():
        metric, status, reason, value = (row[name] for name in columns)
        yield metric, status, reason, value is not None
