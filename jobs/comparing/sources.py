"""The measurements of many jobs as one: rows of those that are done, reasons for the others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from jobs.artifact import Artifact
from jobs.comparing.comparison import Comparison
from jobs.comparing.details import details
from jobs.job import Cell
from jobs.models.facts import MODEL_FACTS


@dataclass(frozen=True, kw_only=True)
class Source:
    """One upstream job of a comparison, done or not."""

    stage: str
    """Its stage."""
    cell: Cell
    """Its cell: becomes the axes' columns."""
    artifact: Artifact | None
    """What it measured, or None when there is nothing."""
    status: str = "ok"
    """Why there is nothing, as a Status of the Measurement schema."""
    reason: str | None = None
    """The same in words."""
    metrics: Sequence[str] = ()
    """What it would have measured, for when nothing of its stage says so."""


def collect(sources: Sequence[Source]) -> Comparison:
    """Read what the sources measured; a source without an artifact gives rows with its reason.

    Nothing depends on the order in which stages were gathered, because the key does not either.
    """
    from analysis.measurement import axis_column, to_rows, to_table

    sources = sorted(sources, key=lambda source: source.stage)
    axes = sorted({axis for source in sources for axis in source.cell})
    order: dict[str, dict[str, None]] = {axis_column(axis): {} for axis in axes}
    for source in sources:
        for axis, value in source.cell.items():
            order[axis_column(axis)][value] = None
    measured = {id(source): list(_measured(source)) for source in sources if source.artifact}
    rows = [row for found in measured.values() for row in found]
    for source in sources:
        if source.artifact is None:
            siblings = [found for found in sources if found.stage == source.stage]
            seen = [row["metric"] for found in siblings for row in measured.get(id(found), ())]
            rows += _missing(source, seen or source.metrics, rows)
    table = to_table(rows, [axis for axis in order if axis != "model"])
    return Comparison(
        rows=to_rows(table),
        order={axis: list(values) for axis, values in order.items()},
        details=partial(details, sources),
    )


def _measured(source: Source) -> Iterator[dict[str, Any]]:
    from analysis.measurement_formats import from_parquet

    assert source.artifact is not None
    own = _columns(source.cell) | {"key": source.artifact.key}
    for row in from_parquet(source.artifact.read("measurements.parquet")).to_pylist():
        yield {**row, "model": _model_name(row), **own}


def _missing(
    source: Source, metrics: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """One row per metric, with the reason and no value."""
    from analysis.lookup import reports_of

    own = _columns(source.cell)
    same_model = next((row for row in rows if row.get("model") == own.get("model")), {})
    facts = {name: same_model.get(name) for name in MODEL_FACTS}
    for metric in dict.fromkeys(value for name in metrics for value in reports_of(name)):
        yield {**facts, **own, "metric": metric, "status": source.status, "reason": source.reason}


def _columns(cell: Cell) -> dict[str, str]:
    from analysis.measurement import axis_column

    return {axis_column(axis): value for axis, value in cell.items()}


def _model_name(row: Mapping[str, Any]) -> str:
    """A model's name where the study has no axis `model`: its family and counted parameters."""
    return f"{row['family']}-{row['num_parameters']}"
