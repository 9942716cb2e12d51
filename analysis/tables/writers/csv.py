"""Comma-separated values: the table's layout at full precision, intervals in their own columns."""

import csv
import io
from collections.abc import Iterator

from analysis.long_table.files import spell
from analysis.measurement import NUMBERS, Role, with_role
from analysis.tables.table import Cell, Table

SUFFIX = ".csv"


def render(table: Table) -> bytes:
    """Return one line per row; a missing value is empty and its status says why."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = (
        f"{'/'.join(filter(None, header))}{part}"
        for header in table.columns
        for part in ("", *(f"_{name}" for name in _numbers(table)), "_seeds", "_status")
    )
    writer.writerow([*table.row_levels, *names])
    for header, line in zip(table.typed_rows, table.cells, strict=True):
        writer.writerow([*map(spell, header), *_line(line, _numbers(table))])
    return out.getvalue().encode()


def _numbers(table: Table) -> tuple[str, ...]:
    """Return the fields written after each value: its interval, and controls if shown."""
    names = NUMBERS if table.controls else with_role(Role.ESTIMATE)
    return tuple(name for name in names if name != "value")


def _line(line: tuple[Cell, ...], names: tuple[str, ...]) -> Iterator[str]:
    for cell in line:
        for number in (cell.number.value, *(getattr(cell.number, name) for name in names)):
            yield spell(number)
        yield str(cell.number.num_seeds or 0)
        yield str(cell.number.status)
