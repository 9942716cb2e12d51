"""A table with what each number has to be held against beside it: interval, floor, null bands."""

from collections.abc import Sequence
from dataclasses import replace

from analysis.status import Status
from analysis.tables.rounding import format_number
from analysis.tables.table import Cell, Header, Table, annotate

PARTS = ("value", "95 % interval", "noise floor", "random band", "base band")
"""What stands side by side, in this order; a part that no cell of a column has is left out."""

_LEVEL = "control"
_PAIRS = {
    "95 % interval": ("low", "high"),
    "random band": ("null_low", "null_high"),
    "base band": ("base_null_low", "base_null_high"),
}


def laid_out(table: Table) -> Table:
    """The table as people read it: with its controls side by side, where it is to show them."""
    return side_by_side(table) if table.controls else table


def side_by_side(table: Table) -> Table:
    """One column per part of each column, told by a level of their own; footnotes made anew."""
    columns: list[Header] = []
    lines: list[list[Cell]] = [[] for _ in table.rows]
    for index, header in enumerate(table.columns):
        own = [line[index] for line in table.cells]
        for part in _parts(own):
            columns.append((*header, part))
            for line, cell in zip(lines, own, strict=True):
                line.append(_part(cell, part))
    return annotate(
        replace(
            table,
            column_levels=(*table.column_levels, _LEVEL),
            columns=tuple(columns),
            cells=tuple(tuple(line) for line in lines),
            controls=False,
        )
    )


def _parts(cells: Sequence[Cell]) -> list[str]:
    return [part for part in PARTS if part == "value" or any(_has(cell, part) for cell in cells)]


def _has(cell: Cell, part: str) -> bool:
    if part == "noise floor":
        return cell.floor is not None
    low, high = _PAIRS[part]
    return getattr(cell, low) is not None and getattr(cell, high) is not None


def _part(cell: Cell, part: str) -> Cell:
    if part == "value":
        return replace(cell, low=None, high=None)
    if not _has(cell, part):
        return _without(cell, part)
    if part == "noise floor":
        return Cell(value=cell.floor)
    low, high = (getattr(cell, name) for name in _PAIRS[part])
    return Cell(low=low, high=high, shown=f"[{format_number(low)}, {format_number(high)}]")


def _without(cell: Cell, part: str) -> Cell:
    """Why a part is not there: because its number is not, or because it is not known."""
    if cell.value is None:
        return Cell(status=cell.status, reason=cell.reason)
    return Cell(status=Status.UNDEFINED, reason=f"this number has no {part}")
