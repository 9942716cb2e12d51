"""Comma-separated values: the table's layout at full precision, intervals in their own columns."""

import csv
import io
from collections.abc import Iterator

from analysis.long_table.columns import NULLS
from analysis.tables.table import Cell, Header, Table

SUFFIX = ".csv"


def render(table: Table) -> bytes:
    """One line per row; a missing value is empty and its status says why, 0 is a measured zero."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = (
        f"{'/'.join(filter(None, header))}{part}"
        for header in table.columns
        for part in ("", *(f"_{name}" for name in _numbers(table)), "_seeds", "_status")
    )
    writer.writerow([*table.row_levels, *names])
    for header, line in zip(table.rows, table.cells, strict=True):
        writer.writerow(list(_line(header, line, _numbers(table))))
    return out.getvalue().encode()


def _numbers(table: Table) -> tuple[str, ...]:
    """What stands beside each value: its interval, and its controls where they are asked for."""
    return ("low", "high", *(("floor", *NULLS) if table.controls else ()))


def _line(header: Header, line: tuple[Cell, ...], names: tuple[str, ...]) -> Iterator[str]:
    yield from header
    for cell in line:
        for number in (cell.value, *(getattr(cell, name) for name in names)):
            yield "" if number is None else repr(number).removesuffix(".0")
        yield str(cell.num_seeds)
        yield str(cell.status)
