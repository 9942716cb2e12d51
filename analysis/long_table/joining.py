"""Tables of measurements from many jobs as one, in the canonical order, without a Python row each.

A million measurements are joined in a second; as Python rows they would take gigabytes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.long_table.columns import axes_of, schema
from analysis.long_table.ranges import range_of
from analysis.measurement import IDENTITY, NUMBERS, Row, Scalar, label_of

_MOST_RANKS = 2**62
_STAGE = "stage of the job"
"""A column beside those of the long table; no axis can have this name."""


def conformed(
    table: pa.Table,
    axes: Sequence[str],
    constants: Mapping[str, Scalar],
    types: Mapping[str, pa.DataType] | None = None,
) -> pa.Table:
    """Return one job's measurements in the columns of these axes, filled with constants.

    Ends of intervals and bands beyond what the value can be, as artifacts may have them, are cut.

    Args:
        table: measurements of one job.
        axes: the study's axes.
        constants: column -> the value of all rows; the job's own axis columns take precedence.
        types: column -> its type, for the axes.
    """
    swept = set(axes_of(table.column_names))
    columns = []
    for field in schema(axes, types):
        is_constant = field.name in constants and field.name not in swept
        if not is_constant and field.name in table.column_names:
            own = table[field.name]
            columns.append(own if own.type == field.type else own.cast(field.type))
        else:
            value = constants[field.name] if is_constant else None
            columns.append(pa.repeat(_scalar(value, field.type), len(table)))
    return _cut(pa.table(columns, schema=schema(axes, types)))


def _cut(table: pa.Table) -> pa.Table:
    """Return the table, no number beside a value beyond the range of that value."""
    metrics = table["metric"].combine_chunks().dictionary_encode()
    ranges = np.array([range_of(name) for name in metrics.dictionary.to_pylist()])
    if not len(ranges):
        return table
    least, most = ranges[metrics.indices.to_numpy()].T
    for name in NUMBERS:
        if name == "value":
            continue
        numbers = table[name].to_numpy()  # NaN where it is missing
        with np.errstate(invalid="ignore"):
            is_beyond = (numbers < least) | (numbers > most)
        if is_beyond.any():
            whole = pa.array(np.clip(numbers, least, most), from_pandas=True)
            table = table.set_column(table.column_names.index(name), name, whole)
    return table


def _scalar(value: Scalar, of_type: pa.DataType) -> pa.Scalar:
    """Return a value as an entry of a column: in one of text, by its label."""
    is_text = of_type == pa.string() and value is not None
    return pa.scalar(label_of(value) if is_text else value, of_type)


def labelled(table: pa.Table, column: str, label: str, metrics: Sequence[str]) -> pa.Table:
    """Return the table with a label in a text column wherever the metric is one of these."""
    chosen = pc.is_in(table["metric"], pa.array(metrics, pa.string()))
    values = pc.if_else(chosen, pa.scalar(label), table[column])
    return table.set_column(table.column_names.index(column), column, values)


def contested(tables: Sequence[tuple[str, pa.Table]], axes: Sequence[str]) -> list[str]:
    """Return the metrics of which two stages measured different numbers in one cell.

    Args:
        tables: the stage and the conformed measurements of each job.
        axes: the study's axes.
    """
    stages: dict[str, set[str]] = {}
    for stage, table in tables:
        for metric in table["metric"].unique().to_pylist():
            stages.setdefault(metric, set()).add(stage)
    several = pa.array([name for name, of in stages.items() if len(of) > 1], pa.string())
    if not len(several):
        return []
    names = list(dict.fromkeys([*(n for n in tables[0][1].column_names if n in axes), *IDENTITY]))
    parts = [
        part.append_column(_STAGE, pa.repeat(stage, len(part)))
        for stage, table in tables
        if len(part := table.select([*names, "value"]).filter(pc.is_in(table["metric"], several)))
    ]
    counts = [(name, "count_distinct") for name in ("value", _STAGE)]
    cells = pa.concat_tables(parts).group_by(names).aggregate(counts)
    differ = (pc.greater(cells[f"{name}_count_distinct"], 1) for name, _ in counts)
    return sorted(cells.filter(pc.and_(*differ))["metric"].unique().to_pylist())


def joined(
    tables: Sequence[pa.Table], axes: Sequence[str], types: Mapping[str, pa.DataType] | None = None
) -> pa.Table:
    """Return conformed tables one after another; nothing is copied."""
    return pa.concat_tables([schema(axes, types).empty_table(), *tables])


def canonical(whole: pa.Table, axes: Sequence[str]) -> pa.Table:
    """Return the rows in the order of `to_table`; equal ones stay as they came."""
    whole = whole.combine_chunks()
    names = list(dict.fromkeys([*(n for n in whole.column_names if n in axes), *IDENTITY, "key"]))
    order, most = np.zeros(len(whole), dtype=np.int64), 1
    for name in names:
        ranks, number = _ranks(whole[name])
        if most * number > _MOST_RANKS:
            order = np.unique(order, return_inverse=True)[1].astype(np.int64)
            most = len(whole)
        order, most = order * number + ranks, most * number
    return whole.take(pa.array(np.argsort(order, kind="stable")))


def distinct(table: pa.Table, columns: Sequence[str]) -> list[Row]:
    """Return the combinations of values in these columns, each once, sorted."""
    rows: list[Row] = table.group_by(list(columns)).aggregate([]).to_pylist()
    return sorted(rows, key=lambda row: [(row[name] is not None, row[name]) for name in columns])


def _ranks(column: pa.ChunkedArray) -> tuple[np.ndarray, int]:
    """Return the rank of each entry among a column's sorted values, missing first; their number."""
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary
    places = np.empty(len(values) + 1, dtype=np.int64)
    places[np.asarray(pc.sort_indices(values))] = np.arange(1, len(values) + 1)
    places[len(values)] = 0
    return places[np.asarray(pc.fill_null(encoded.indices, len(values)))], len(values) + 1
