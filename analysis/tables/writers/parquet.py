"""Parquet: the table in long form, one line per cell with its headers, for notebooks."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.long_table.columns import NULLS, axis_column
from analysis.tables.table import Table

SUFFIX = ".parquet"

_CELL = [
    ("value", pa.float64()),
    ("low", pa.float64()),
    ("high", pa.float64()),
    ("floor", pa.float64()),
    *((name, pa.float64()) for name in NULLS),
    ("num_seeds", pa.int64()),
    ("text", pa.string()),
    ("status", pa.string()),
    ("reason", pa.string()),
    ("keys", pa.list_(pa.string())),
]


def render(table: Table) -> bytes:
    """Header columns as text, then the cell's fields; a missing value is null."""
    levels = [_column(name) for name in (*table.row_levels, *table.column_levels)]
    lines = [
        dict(zip(levels, (*side, *top), strict=True))
        | {name: getattr(cell, name) for name, _ in _CELL}
        for side, line in zip(table.rows, table.cells, strict=True)
        for top, cell in zip(table.columns, line, strict=True)
    ]
    schema = pa.schema([(name, pa.string()) for name in levels] + _CELL)
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(lines, schema=schema), out, compression="zstd")
    return out.getvalue()


def _column(level: str) -> str:
    """An axis that is called like a field of the cell keeps out of its way."""
    taken = {name for name, _ in _CELL}
    return f"axis_{level}" if level in taken else axis_column(level) if level == "key" else level
