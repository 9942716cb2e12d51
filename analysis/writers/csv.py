"""Comma-separated values: the table's layout at full precision, intervals in their own columns."""

import csv
import io
from collections.abc import Iterator

from analysis.table import Cell, Header, Table

SUFFIX = ".csv"


def render(table: Table) -> bytes:
    """One line per row; a missing value is empty and its status says why, 0 is a measured zero."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = (
        f"{'/'.join(filter(None, header))}{part}"
        for header in table.columns
        for part in ("", "_low", "_high", "_seeds", "_status")
    )
    writer.writerow([*table.row_levels, *names])
    for header, line in zip(table.rows, table.cells, strict=True):
        writer.writerow(list(_line(header, line)))
    return out.getvalue().encode()


def _line(header: Header, line: tuple[Cell, ...]) -> Iterator[str]:
    yield from header
    for cell in line:
        for number in (cell.value, cell.low, cell.high):
            yield "" if number is None else repr(number).removesuffix(".0")
        yield str(cell.num_seeds)
        yield str(cell.status)
