"""Which numbers of one cell are of different things: of other objectives, of other stages."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

from analysis.measurement import Row
from analysis.metric import METRICS
from jobs.comparing.ancestry import circumstances_of
from jobs.comparing.sources import Source, reports_of
from jobs.kind import KINDS

OBJECTIVE = "objective"
"""The axis of which a number without a value is the base's."""


def with_objectives(sources: Sequence[Source]) -> list[Source]:
    """Return sources of a study without an axis for it with the objective of what they measured.

    A number without one is taken for the base's. A job that failed has that of its stage.
    """
    known = circumstances_of([source.artifact for source in sources if source.artifact])
    objectives = {key: about.objective for key, about in known.items() if about.objective}
    of_stage: dict[str, set[str | None]] = {}
    for source in sources:
        if source.artifact:
            of_stage.setdefault(source.stage, set()).add(objectives.get(source.artifact.key))

    def told(source: Source) -> Source:
        of_jobs = of_stage.get(source.stage, set())
        common = next(iter(of_jobs)) if len(of_jobs) == 1 else None
        own = objectives.get(source.artifact.key) if source.artifact else common
        return replace(source, cell={**source.cell, OBJECTIVE: own}) if own else source

    return [told(source) for source in sources]


def share_cells(sources: Sequence[Source], averaged: str | None) -> bool:
    """Tell whether sources of several objectives share a cell of the study, the base among them."""
    told = {
        (_cell_without(source, OBJECTIVE, averaged), source.cell.get(OBJECTIVE))
        for source in sources
        if source.artifact
    }
    return len(told) > len({cell for cell, _ in told})


def half_averaged(
    sources: Sequence[Source], measured: Mapping[str, Sequence[Row]], averaged: str | None
) -> set[str]:
    """Return the metrics that a stage with the averaged axis and one without it have of one cell.

    Args:
        sources: the jobs, done or not.
        measured: stage -> what its jobs measured.
        averaged: the axis.
    """
    cells: dict[tuple[str, bool], set[frozenset[tuple[str, str]]]] = {}
    values = {stage: {str(row["metric"]) for row in rows} for stage, rows in measured.items()}
    for source in sources:
        cell = _cell_without(source, averaged)
        cells.setdefault((source.stage, averaged in source.cell), set()).add(cell)
        if source.stage not in measured:
            named = (value for name in source.metrics for value in reports_of(name))
            values.setdefault(source.stage, set()).update(named)
    halves: list[list[tuple[str, set[frozenset[tuple[str, str]]]]]] = [[], []]
    for (stage, has_axis), own in cells.items():
        halves[has_axis].append((stage, own))
    return {
        metric
        for (stage, own), (other, of_other) in product(*halves)
        if own & of_other
        for metric in values.get(stage, set()) & values.get(other, set())
    }


def comparing_values() -> list[str]:
    """Return the values that two stages may measure of one cell, each against something else."""
    compared = [metric.REPORTS for metric in METRICS.entries() if metric.NEEDS_AGAINST]
    compared += [kind.MEASURES for kind in KINDS.entries() if kind.TELLS_STAGE]
    return [value for values in compared for value in values]


def _cell_without(source: Source, *axes: str | None) -> frozenset[tuple[str, str]]:
    """Return the cell of a source less some axes."""
    return frozenset((axis, label) for axis, label in source.cell.items() if axis not in axes)
