"""Parquet: the table in long form, one line per cell with its headers, for notebooks."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.long_table.columns import ARROW, axis_column, common_type
from analysis.measurement import FIELDS
from analysis.tables.table import IN_TABLES, Table

SUFFIX = ".parquet"

_TYPES = {name: ARROW[FIELDS[name].type] for name in IN_TABLES}
_NUMBERS = [(name, kind) for name, kind in _TYPES.items() if kind != pa.string()]
_WORDS = [(name, kind) for name, kind in _TYPES.items() if kind == pa.string()]
_CELL = [*_NUMBERS, ("text", pa.string()), *_WORDS, ("keys", pa.list_(pa.string()))]
"""Columns of a cell; the mark of its footnote is for people only."""


def render(table: Table) -> bytes:
    """Write header columns, then the cell's fields; a missing value is null."""
    levels = [_column(name) for name in (*table.row_levels, *table.column_levels)]
    lines = [
        dict(zip(levels, (*side, *top), strict=True))
        | {name: value for name, value in cell.as_json().items() if name != "footnote"}
        for side, line in zip(table.typed_rows, table.cells, strict=True)
        for top, cell in zip(table.typed_columns, line, strict=True)
    ]
    kinds = [(name, common_type(line[name] for line in lines)) for name in levels]
    schema = pa.schema(kinds + _CELL)
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(lines, schema=schema), out, compression="zstd")
    return out.getvalue()


def _column(level: str) -> str:
    """Return the column of a level, renamed where a field of the cell is called like it."""
    taken = {name for name, _ in _CELL}
    return f"axis_{level}" if level in taken else axis_column(level) if level == "key" else level
