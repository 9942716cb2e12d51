"""The measurements of many jobs in one table: rows of finished jobs, reasons for the others."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from io import BytesIO
from itertools import product
from typing import TYPE_CHECKING

from analysis.measurement import Row, Scalar, label_of
from analysis.metric import METRICS
from analysis.status import Status
from analysis.weight_metric import WEIGHT_METRICS
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import AxisValues, Cell
from jobs.artifacts.request import readable_request
from jobs.comparing.ancestry import circumstances_of
from jobs.comparing.comparison import Comparison
from jobs.comparing.measuring_kinds import expected_values
from jobs.kind import KINDS
from jobs.models.model_facts import MODEL_FACTS
from jobs.worker.absence import absence
from jobs.worker.measured_rows import FILE

if TYPE_CHECKING:
    import pyarrow as pa

    from analysis.drawing.figure import Detail

OBJECTIVE = "objective"
"""The axis of which a number without a value is the base's."""
SEEDS = "seed"
"""The axis that a view averages over unless it says otherwise."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?")
"""A number as a job writes it; Python would also read `1_000` and `nan` as such."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One upstream job of a comparison, done or not."""

    stage: str
    """Its stage."""
    cell: Cell
    """Its cell, which gives the columns of the axes."""
    values: AxisValues = field(default_factory=dict)
    """The typed values behind the cell; where they are not known the columns are text."""
    artifact: Artifact | None
    """The artifact with its measurements; None when there is none."""
    status: str = "ok"
    """Why there are no measurements, as a `Status`."""
    reason: str | None = None
    """The status in words."""
    metrics: Sequence[str] = ()
    """The metrics that it would have measured, used where no job of its stage has measured."""
    model: Mapping[str, Scalar] = field(default_factory=dict)
    """Facts of the checkpoint upstream, where there is no artifact and that one is done."""


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

    sources = sorted((_present(source) for source in sources), key=lambda source: source.stage)
    read = {id(source): _read(source) for source in sources if source.artifact is not None}
    swept = {name for table in read.values() for name in axes_of(table.column_names)}
    order = _order(sources, swept)
    axes = [axis for axis in order if axis != "model"]
    types = _axis_types(sources, list(read.values()))
    whole = [
        (source.stage, conformed(table, axes, _cell_columns(source, table), types))
        for source in sources
        if (table := read.get(id(source))) is not None
    ]
    measured = _measured_values_by_stage(sources, read, sorted(swept), types)
    in_dispute = {*contested(whole, axes), *_half_averaged(sources, measured, averaged)}
    if in_dispute and OBJECTIVE not in order:
        known = with_objectives(sources)
        if _share_cells(known, averaged):
            return collect(known, averaged)
    by_stage = {*_comparing_values(), *in_dispute}
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
        circumstances=cache(partial(circumstances_of, [s.artifact for s in sources if s.artifact])),
    )


def with_objectives(sources: "Sequence[Source]") -> "list[Source]":
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


def _share_cells(sources: Sequence[Source], averaged: str | None) -> bool:
    """Whether sources of several objectives, the base among them, are of one cell of the study."""
    told = {
        (_cell_without(source, OBJECTIVE, averaged), source.cell.get(OBJECTIVE))
        for source in sources
        if source.artifact
    }
    return len(told) > len({cell for cell, _ in told})


def _cell_without(source: Source, *axes: str | None) -> frozenset[tuple[str, str]]:
    """Return the cell of a source less some axes."""
    return frozenset((axis, label) for axis, label in source.cell.items() if axis not in axes)


def _half_averaged(
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
            named = (value for name in source.metrics for value in _reports_of(name))
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


def _present(source: Source) -> Source:
    """Return a source; where its job had nothing to measure, as one without measurements."""
    if source.artifact is None or (why := absence(source.artifact.facts)) is None:
        return source
    request = readable_request(source.artifact.storage, f"{source.artifact.folder}/job.json")
    return replace(
        source,
        artifact=None,
        status=Status.NOT_RUN,
        reason=why,
        metrics=expected_values(source.artifact.kind, request["params"]) if request else (),
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


def _order(sources: Sequence[Source], swept: set[str]) -> dict[str, dict[str, None]]:
    """Map axis column -> values in the study's order; none of an axis that jobs sweep."""
    from analysis.long_table.columns import axis_column

    columns = {axis_column(axis) for source in sources for axis in source.cell}
    order: dict[str, dict[str, None]] = {axis: {} for axis in sorted(columns | swept)}
    for source in sources:
        for axis, value in source.cell.items():
            order[axis_column(axis)][value] = None
    return order


def _cell_columns(source: Source, table: "pa.Table") -> dict[str, Scalar]:
    """Return the columns that one value fills: the cell's axes, the key and the model's name.

    A model has a name where the study has no axis `model`.
    """
    assert source.artifact is not None
    columns: dict[str, Scalar] = {"model": None, "key": source.artifact.key}
    if len(table):
        facts: dict[str, Scalar] = {name: table[name][0].as_py() for name in MODEL_FACTS}
        served = source.artifact.facts.get("model", {}).get("name")  # behind an endpoint
        columns["model"] = _model_name(facts, served)
    return columns | _axis_values(source)


def _model_name(facts: Mapping[str, Scalar], served: str | None = None) -> str:
    """Name a model by family and size, or as its endpoint does, where a study has no such axis."""
    family, size = facts["family"], facts["num_parameters"]
    return f"{family}-{size}" if size is not None else served or str(family)


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
    axes = _axis_values(source)
    same_model: Mapping[str, Scalar] = facts.get(str(axes.get("model", "")), {})
    if not same_model and MODEL_FACTS[0] in source.model:
        same_model = {name: source.model.get(name) for name in MODEL_FACTS}
        same_model = {"model": _model_name(same_model), **same_model}
    if not measured:
        names = [value for name in source.metrics for value in _reports_of(name)]
        measured = [{"metric": name} for name in dict.fromkeys(names)]
    for columns in measured:
        stage = source.stage if columns["metric"] in by_stage else None
        why = {"status": source.status, "reason": source.reason, "compared_by": stage}
        yield {**same_model, **axes, **columns, **why}


def _comparing_values() -> list[str]:
    """Return the values that two stages may measure of one cell, each against something else."""
    compared = [metric.REPORTS for metric in METRICS.entries() if metric.NEEDS_AGAINST]
    compared += [kind.MEASURES for kind in KINDS.entries() if kind.TELLS_STAGE]
    return [value for values in compared for value in values]


def _reports_of(name: str) -> Sequence[str]:
    """Return the values that a metric of activations or of weights reports; else the name."""
    metric = METRICS.get(name) or WEIGHT_METRICS.get(name)
    return (name,) if metric is None else metric.REPORTS


def _axis_values(source: Source) -> dict[str, Scalar]:
    """Return axis column -> the value behind the cell, or its label where that is not known."""
    from analysis.long_table.columns import axis_column

    return {
        axis_column(axis): label if axis == "model" else _axis_value(source, axis)
        for axis, label in source.cell.items()
    }


def _axis_value(source: Source, axis: str) -> Scalar:
    """Return the value of a source on an axis; its label, where the value does not keep that."""
    label = source.cell[axis]
    value = source.values.get(axis, label)
    return value if label_of(value) == label else label


def _axis_types(
    sources: Sequence[Source], tables: "Sequence[pa.Table]"
) -> "dict[str, pa.DataType]":
    """Return the type of each axis column: of numbers, if all its values are and keep their labels.

    Jobs write the axes that they sweep themselves as text: numbers where all of it reads as such.
    """
    from analysis.long_table.columns import axes_of, axis_column, common_type

    values: dict[str, list[Scalar]] = {}
    for source in sources:
        for axis in source.cell:
            values.setdefault(axis_column(axis), []).append(_axis_value(source, axis))
    for table in tables:
        for name in axes_of(table.column_names):
            written = [text for text in table[name].unique().to_pylist() if text is not None]
            values.setdefault(name, []).extend(map(_number_or_text, written))
    return {name: common_type(kinds) for name, kinds in values.items() if name != "model"}


def _number_or_text(text: str) -> float | str:
    return float(text) if _NUMBER.fullmatch(text) else text


def details(sources: Sequence[Source], name: str) -> "list[Detail]":
    """List the `<name>.parquet` of every source that has one, with its cell and model's facts.

    Several stages may measure one sample: what they then say alike is listed once.
    """
    from analysis.drawing.figure import Detail

    file = f"{name}.parquet"
    found = dict[tuple[str, frozenset[tuple[str, str]]], Detail]()
    for source in sources:
        artifact = source.artifact
        if artifact is not None and file in artifact.names():
            same = artifact.record.files[file].xxh3, frozenset(source.cell.items())
            detail = Detail(
                about=_detail_about(source, artifact), read=partial(_read_detail, artifact, file)
            )
            found.setdefault(same, detail)
    return list(found.values())


def _detail_about(source: Source, artifact: Artifact) -> "dict[str, Scalar]":
    """Return what a row of measurements of the same job says of its cell and model."""
    table = _read_detail(artifact, FILE, MODEL_FACTS).slice(0, 1)
    facts: dict[str, Scalar] = table.to_pylist()[0] if len(table) else dict.fromkeys(MODEL_FACTS)
    return {"model": _model_name(facts), **facts, **_axis_values(source), "key": artifact.key}


def _read_detail(artifact: Artifact, file: str, columns: Sequence[str] | None = None) -> "pa.Table":
    import pyarrow.parquet as pq

    return pq.read_table(BytesIO(artifact.read(file)), columns=columns and list(columns))
