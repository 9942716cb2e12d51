"""Columns for the controls of a value: its interval, noise floor and null bands."""

from collections.abc import Sequence
from dataclasses import replace

from analysis.measurement import PARTS, Measurement
from analysis.status import Status
from analysis.tables.rounding import format_beside
from analysis.tables.table import Cell, Header, Table, annotate

_LEVEL = "control"


def laid_out(table: Table) -> Table:
    """Return the table as people read it: controls in columns of their own where it shows them."""
    return side_by_side(table) if table.controls else table


def side_by_side(table: Table) -> Table:
    """Return one column per part of each column, under a header level of their own."""
    columns: list[Header] = []
    lines: list[list[Cell]] = [[] for _ in table.rows]
    for index, header in enumerate(table.columns):
        column = [line[index] for line in table.cells]
        for part in _parts(column):
            columns.append((*header, part))
            for line, cell in zip(lines, column, strict=True):
                line.append(_part(cell, part))
    return annotate(
        replace(
            table,
            column_levels=(*table.column_levels, _LEVEL),
            columns=tuple(columns),
            column_values=(),
            cells=tuple(tuple(line) for line in lines),
            controls=False,
        )
    )


def _parts(cells: Sequence[Cell]) -> list[str]:
    """Return the parts that some cell has, the value always."""
    return [part for part in PARTS if part == "value" or any(_has(cell, part) for cell in cells)]


def _has(cell: Cell, part: str) -> bool:
    return all(end is not None for end in _ends(cell, part))


def _ends(cell: Cell, part: str) -> list[float | None]:
    return [getattr(cell.number, name) for name in PARTS[part]]


def _part(cell: Cell, part: str) -> Cell:
    """Return a part in a cell of its own, no number so coarse that it hides the interval."""
    number = cell.number

    def written(end: float) -> str:
        return format_beside(end, number.low, number.high, significant=1)

    if part == "value":
        seeds = f" ({number.num_seeds})" if (number.num_seeds or 0) > 1 else ""
        shown = None  # a dash
        if number.value is not None and not number.below_floor:
            shown = f"{written(number.value)}{seeds}"
        return replace(cell, number=replace(number, low=None, high=None), shown=shown)
    ends = [end for end in _ends(cell, part) if end is not None]
    if len(ends) < len(PARTS[part]):
        return _without(cell, part)
    if len(ends) == 1:
        return Cell(number=replace(_blank(cell), value=ends[0]), shown=written(ends[0]))
    low, high = ends
    text = f"[{written(low)}, {written(high)}]"
    return Cell(number=replace(_blank(cell), low=low, high=high), shown=text)


def _without(cell: Cell, part: str) -> Cell:
    """Return a cell that says why a part is missing: with its number, or by itself."""
    status, reason = cell.number.status, cell.number.reason
    if cell.number.value is not None:
        status, reason = Status.UNDEFINED, f"this number has no {part}"
    return Cell(number=replace(_blank(cell), status=status, reason=reason))


def _blank(cell: Cell) -> Measurement:
    return Measurement(metric=cell.number.metric, definition=cell.number.definition)
