"""The measurements of many jobs in one table: rows of finished jobs, reasons for the others."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from analysis.measurement import Row, Scalar
from jobs.comparing.ancestry import circumstances_of
from jobs.comparing.comparison import Comparison
from jobs.comparing.details import details
from jobs.comparing.sources import (
    Source,
    axis_types,
    axis_values,
    model_name,
    order_of,
    present,
    reports_of,
)
from jobs.comparing.telling_apart import (
    OBJECTIVE,
    comparing_values,
    half_averaged,
    share_cells,
    with_objectives,
)
from jobs.models.model_facts import MODEL_FACTS
from jobs.worker.measured_rows import FILE

if TYPE_CHECKING:
    import pyarrow as pa

SEEDS = "seed"
"""The axis that a view averages over unless it says otherwise."""


def collect(sources: Sequence[Source], averaged: str | None = SEEDS) -> Comparison:
    """Read what the sources measured; a source without an artifact gives rows with its reason.

    A job may sweep axes itself: axis columns of its table stand beside those of the cells.
    Nothing depends on the order in which stages were gathered, because the key does not either.
    Numbers of one cell are told apart by the objective, where that is no axis of the study, and by
    the name of the stage: it may compare a sample with another one than the next stage does, or
    take another model of a chain of trainings for the base. Cells that differ only in that one has
    no value of the averaged axis are one: a base of all seeds is no seed of the models made of it.

    Args:
        sources: the jobs.
        averaged: axis that the view averages over; None for none.
    """
    from analysis.long_table.columns import axes_of, to_table
    from analysis.long_table.joining import conformed, contested, joined, labelled

    sources = sorted((present(source) for source in sources), key=lambda source: source.stage)
    read = {id(source): _read(source) for source in sources if source.artifact is not None}
    swept = {name for table in read.values() for name in axes_of(table.column_names)}
    order = order_of(sources, swept)
    axes = [axis for axis in order if axis != "model"]
    types = axis_types(sources, list(read.values()))
    whole = [
        (source.stage, conformed(table, axes, _cell_columns(source, table), types))
        for source in sources
        if (table := read.get(id(source))) is not None
    ]
    measured = _measured_values_by_stage(sources, read, sorted(swept), types)
    in_dispute = {*contested(whole, axes), *half_averaged(sources, measured, averaged)}
    if in_dispute and OBJECTIVE not in order:
        known = with_objectives(sources)
        if share_cells(known, averaged):
            return collect(known, averaged)
    by_stage = {*comparing_values(), *in_dispute}
    tables = [labelled(table, "compared_by", stage, sorted(by_stage)) for stage, table in whole]
    facts = _facts(tables)
    missing = [
        row
        for source in sources
        if source.artifact is None
        for row in _missing(source, measured.get(source.stage, []), facts, by_stage)
    ]
    return Comparison(
        gathered=joined([*tables, to_table(missing, axes, types)], axes, types),
        order={axis: tuple(values) for axis, values in order.items()},
        details=partial(details, sources),
        stages=_stages(sources),
        swept=swept,
        circumstances=cache(partial(circumstances_of, [s.artifact for s in sources if s.artifact])),
    )


def _stages(sources: Sequence[Source]) -> dict[str, tuple[str, ...]]:
    """Map the key of each job with measurements -> its stages: several may ask for one job."""
    stages: dict[str, tuple[str, ...]] = {}
    for source in sources:
        if source.artifact is not None:
            key = source.artifact.key
            stages[key] = tuple(dict.fromkeys([*stages.get(key, ()), source.stage]))
    return stages


def _read(source: Source) -> "pa.Table":
    from analysis.long_table.files import from_parquet

    assert source.artifact is not None
    return from_parquet(source.artifact.read(FILE))


def _cell_columns(source: Source, table: "pa.Table") -> dict[str, Scalar]:
    """Return the columns that one value fills: the cell's axes, the key and the model's name.

    A model has a name where the study has no axis `model`.
    """
    assert source.artifact is not None
    columns: dict[str, Scalar] = {"model": None, "key": source.artifact.key}
    if len(table):
        facts: dict[str, Scalar] = {name: table[name][0].as_py() for name in MODEL_FACTS}
        served = source.artifact.facts.get("model", {}).get("name")  # behind an endpoint
        columns["model"] = model_name(facts, served)
    return columns | axis_values(source)


def _facts(tables: "Sequence[pa.Table]") -> dict[str, Row]:
    """Map the name of each model with measurements -> its facts."""
    facts: dict[str, Row] = {}
    for table in tables:
        if len(table):
            first = {name: table[name][0].as_py() for name in MODEL_FACTS}
            facts.setdefault(str(table["model"][0]), first)
    return facts


def _measured_values_by_stage(
    sources: Sequence[Source],
    read: "Mapping[int, pa.Table]",
    swept: Sequence[str],
    types: "Mapping[str, pa.DataType]",
) -> dict[str, list[Row]]:
    """Map stage -> the metrics that its jobs measured, with the values of axes that they sweep."""
    import pyarrow as pa

    from analysis.long_table.joining import distinct

    values: dict[str, dict[tuple[object, ...], Row]] = {}
    for source in sources:
        if (table := read.get(id(source))) is not None:
            columns = ["metric", *(name for name in swept if name in table.column_names)]
            of_stage = values.setdefault(source.stage, {})
            typed = table.select(columns).cast(
                pa.schema([(name, types.get(name, pa.string())) for name in columns])
            )
            for row in distinct(typed, columns):
                of_stage.setdefault(tuple(row.items()), row)
    return {stage: list(rows.values()) for stage, rows in values.items()}


def _missing(
    source: Source,
    measured: Sequence[Row],
    facts: Mapping[str, Row],
    by_stage: Collection[str],
) -> Iterator[Row]:
    """Yield one row per metric (and value of a swept axis), with the reason and no value."""
    axes = axis_values(source)
    same_model: Mapping[str, Scalar] = facts.get(str(axes.get("model", "")), {})
    if not same_model and MODEL_FACTS[0] in source.model:
        same_model = {name: source.model.get(name) for name in MODEL_FACTS}
        same_model = {"model": model_name(same_model), **same_model}
    if not measured:
        names = [value for name in source.metrics for value in reports_of(name)]
        measured = [{"metric": name} for name in dict.fromkeys(names)]
    for columns in measured:
        stage = source.stage if columns["metric"] in by_stage else None
        why = {"status": source.status, "reason": source.reason, "compared_by": stage}
        yield {**same_model, **axes, **columns, **why}
