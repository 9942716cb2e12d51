"""The measurements of many jobs as one: rows of those that are done, reasons for the others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from io import BytesIO
from typing import TYPE_CHECKING

from analysis.measurement import Row, Scalar, label_of
from analysis.metric import METRICS
from analysis.weight_metric import WEIGHT_METRICS
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import AxisValues, Cell
from jobs.comparing.ancestry import circumstances_of
from jobs.comparing.comparison import Comparison
from jobs.models.model_facts import MODEL_FACTS
from jobs.worker.measured_rows import FILE

if TYPE_CHECKING:
    import pyarrow as pa

    from analysis.drawing.figure import Detail


@dataclass(frozen=True, kw_only=True)
class Source:
    """One upstream job of a comparison, done or not."""

    stage: str
    """Its stage."""
    cell: Cell
    """Its cell: becomes the axes' columns."""
    values: AxisValues = field(default_factory=dict)
    """The typed values behind the cell; where they are not known the columns are text."""
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

    A job may sweep axes itself: axis columns of its table stand beside those of the cells.
    Nothing depends on the order in which stages were gathered, because the key does not either.
    """
    from analysis.long_table.columns import axes_of, to_table
    from analysis.long_table.joining import conformed, joined, labelled

    sources = sorted(sources, key=lambda source: source.stage)
    read = {id(source): _read(source) for source in sources if source.artifact is not None}
    swept = {name for table in read.values() for name in axes_of(table.column_names)}
    order = _order(sources, swept)
    axes = [axis for axis in order if axis != "model"]
    types = _axis_types(sources, list(read.values()))
    compares = _comparing_values()

    def named(source: Source, table: "pa.Table") -> "pa.Table":
        # Two stages may compare one sample with different ones: their numbers are not one number.
        return labelled(
            conformed(table, axes, _known(source, table), types),
            "compared_by",
            source.stage,
            compares,
        )

    tables = [named(source, read[id(source)]) for source in sources if id(source) in read]
    facts = _facts(tables)
    seen = _seen(sources, read, sorted(swept), types)
    missing = [
        row
        for source in sources
        if source.artifact is None
        for row in _missing(source, seen.get(source.stage, []), facts)
    ]
    return Comparison(
        gathered=joined([*tables, to_table(missing, axes, types)], axes, types),
        order={axis: tuple(values) for axis, values in order.items()},
        details=partial(details, sources),
        circumstances=cache(
            partial(circumstances_of, [each.artifact for each in sources if each.artifact])
        ),
    )


def _read(source: Source) -> "pa.Table":
    from analysis.long_table.files import from_parquet

    assert source.artifact is not None
    return from_parquet(source.artifact.read(FILE))


def _order(sources: Sequence[Source], swept: set[str]) -> dict[str, dict[str, None]]:
    """Axis column -> values in the study's order; none of an axis that jobs sweep: as numbers."""
    from analysis.long_table.columns import axis_column

    named = {axis_column(axis) for source in sources for axis in source.cell}
    order: dict[str, dict[str, None]] = {axis: {} for axis in sorted(named | swept)}
    for source in sources:
        for axis, value in source.cell.items():
            order[axis_column(axis)][value] = None
    return order


def _known(source: Source, table: "pa.Table") -> dict[str, Scalar]:
    """What the cell says of every row; a model has a name where the study has no axis `model`."""
    assert source.artifact is not None
    known: dict[str, Scalar] = {"model": None, "key": source.artifact.key}
    if len(table):
        family, size = table["family"][0].as_py(), table["num_parameters"][0].as_py()
        served = source.artifact.facts.get("model", {}).get("name")  # behind an endpoint
        known["model"] = f"{family}-{size}" if size is not None else served or str(family)
    return known | _columns(source)


def _facts(tables: "Sequence[pa.Table]") -> dict[str, Row]:
    """Return the name of each model that something was measured of -> its facts."""
    facts: dict[str, Row] = {}
    for table in tables:
        if len(table):
            first = {name: table[name][0].as_py() for name in MODEL_FACTS}
            facts.setdefault(str(table["model"][0]), first)
    return facts


def _seen(
    sources: Sequence[Source],
    read: "Mapping[int, pa.Table]",
    swept: Sequence[str],
    types: "Mapping[str, pa.DataType]",
) -> dict[str, list[Row]]:
    """Stage -> what its jobs measured: metrics, each with the values of the axes they sweep."""
    import pyarrow as pa

    from analysis.long_table.joining import distinct

    found: dict[str, dict[tuple[object, ...], Row]] = {}
    for source in sources:
        if (table := read.get(id(source))) is not None:
            columns = ["metric", *(name for name in swept if name in table.column_names)]
            own = found.setdefault(source.stage, {})
            typed = table.select(columns).cast(
                pa.schema([(name, types.get(name, pa.string())) for name in columns])
            )
            for row in distinct(typed, columns):
                own.setdefault(tuple(row.items()), row)
    return {stage: list(rows.values()) for stage, rows in found.items()}


def _missing(source: Source, seen: Sequence[Row], facts: Mapping[str, Row]) -> Iterator[Row]:
    """Yield one row per metric (and place on a swept axis), with the reason and no value."""
    own, compares = _columns(source), _comparing_values()
    same_model = facts.get(str(own.get("model", "")), {})
    if not seen:
        values = [value for name in source.metrics for value in _reports_of(name)]
        seen = [{"metric": value} for value in dict.fromkeys(values)]
    for place in seen:
        by = source.stage if place["metric"] in compares else None
        why = {"status": source.status, "reason": source.reason, "compared_by": by}
        yield {**same_model, **own, **place, **why}


def _comparing_values() -> list[str]:
    """Return the values of the metrics that compare a sample with another one."""
    metrics = [METRICS.find(name) for name in METRICS.names()]
    return [value for metric in metrics if metric.NEEDS_AGAINST for value in metric.REPORTS]


def _reports_of(name: str) -> Sequence[str]:
    """Return the values that a metric of activations or of weights reports; else the name."""
    metric = METRICS.get(name) or WEIGHT_METRICS.get(name)
    return (name,) if metric is None else metric.REPORTS


def _columns(source: Source) -> dict[str, Scalar]:
    """Return axis column -> the value behind the cell, or its label where that is not known."""
    from analysis.long_table.columns import axis_column

    return {
        axis_column(axis): label if axis == "model" else source.values.get(axis, label)
        for axis, label in source.cell.items()
    }


def _axis_types(
    sources: Sequence[Source], tables: "Sequence[pa.Table]"
) -> "dict[str, pa.DataType]":
    """Return the type of each axis column: of numbers, if all its values are and keep their labels.

    Jobs write the axes that they sweep themselves as text: numbers where all of it reads as such.
    """
    from analysis.long_table.columns import axes_of, axis_column, common_type

    values: dict[str, set[Scalar]] = {}
    for source in sources:
        for axis, label in source.cell.items():
            value = source.values.get(axis, label)
            values.setdefault(axis_column(axis), set()).add(
                value if label_of(value) == label else label
            )
    for table in tables:
        for name in axes_of(table.column_names):
            written = [text for text in table[name].unique().to_pylist() if text is not None]
            values.setdefault(name, set()).update(map(_number_or_text, written))
    return {name: common_type(own) for name, own in values.items() if name != "model"}


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def details(sources: Sequence[Source], name: str) -> "list[Detail]":
    """The `<name>.parquet` of every source that has one, with its cell, key and model's facts."""
    from analysis.drawing.figure import Detail

    file = f"{name}.parquet"
    found = [(source, source.artifact) for source in sources if source.artifact is not None]
    return [
        Detail(about=_detail_about(source, artifact), read=partial(_read_detail, artifact, file))
        for source, artifact in found
        if file in artifact.names()
    ]


def _detail_about(source: Source, artifact: Artifact) -> "dict[str, Scalar]":
    """Return what a row of measurements of the same job says of its cell and model."""
    table = _read_detail(artifact, FILE, MODEL_FACTS).slice(0, 1)
    facts: dict[str, Scalar] = table.to_pylist()[0] if len(table) else dict.fromkeys(MODEL_FACTS)
    named = f"{facts['family']}-{facts['num_parameters']}"  # where the study has no axis `model`
    return {"model": named, **facts, **_columns(source), "key": artifact.key}


def _read_detail(artifact: Artifact, file: str, columns: Sequence[str] | None = None) -> "pa.Table":
    import pyarrow.parquet as pq

    return pq.read_table(BytesIO(artifact.read(file)), columns=columns and list(columns))
