"""In which form does JSON hold rows? A list, a list under a name, or a form of pandas.

pandas writes a table by its columns, its rows under their labels (`orient="index"`), or names and
rows apart (`orient="split"`).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import UserError
from jobs.text.rows.doubled import (
    DECODER,
    refuse_doubled_columns,
    refuse_doubled_labels,
    refuse_doubled_lists,
)
from jobs.text.rows.fault import shown

_BETWEEN = re.compile(r"[\s,]*")


def is_rows(value: object) -> bool:
    """Tell a list of rows."""
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)


def values_in(text: str) -> tuple[list[object], int | None]:
    """Parse values that stand one after the other, with commas or not, in one list or none.

    Returns:
        The values, and where something stands that is no JSON, or a list has no end; else None.
    """
    is_list = text.startswith("[")
    end = len(text) - text.endswith("]") if is_list else len(text)
    values: list[object] = []
    at = int(is_list)
    while (at := _after(text, at)) < end:
        try:
            value, at = DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return values, at
        values.append(value)
    return values, len(text) if is_list and end == len(text) else None


def _after(text: str, at: int) -> int:
    between = _BETWEEN.match(text, at)
    return between.end() if between else at


def objects_of(path: Path, value: Any, wanted: Callable[[str], bool]) -> Iterator[object]:
    """Yield the rows of a value.

    Args:
        path: the file, in errors.
        value: a list of rows, or an object that holds rows in some form, or is one.
        wanted: tells a column that is read.

    Raises:
        UserError: it holds several lists of rows, or one of a name twice.
    """
    if isinstance(value, list):
        return iter(value)
    if _are_columns(value):
        refuse_doubled_lists(path, value)
        return _rows_of_columns(value)
    if _is_split(value):
        names = value["columns"]
        refuse_doubled_columns(path, names, wanted)
        return (_named(names, cells) for cells in value["data"])
    if _are_labelled(value, wanted):
        refuse_doubled_labels(path, value)
        return iter(value.values())
    lists = [name for name, inside in value.items() if is_rows(inside)]
    if "chosen" in lists or not lists:
        return iter([value])
    refuse_doubled_labels(path, value)
    if len(lists) > 1:
        raise UserError(
            "it holds several lists of rows",
            where=str(path),
            hint=f"write each ({shown(lists)}) to a file of its own",
        )
    return iter(value[lists[0]])


def _is_split(value: Mapping[str, Any]) -> bool:
    """Tell names and rows apart, as pandas writes them: `columns`, `data`, perhaps `index`."""
    names, data = value.get("columns"), value.get("data")
    if not (isinstance(names, list) and isinstance(data, list) and names and data):
        return False
    return all(isinstance(name, str) for name in names) and isinstance(data[0], list)


def _named(names: Sequence[str], cells: object) -> object:
    """Return a row of its cells; what is no such row as it is, which others name."""
    if not isinstance(cells, list) or len(cells) != len(names):
        return cells
    return dict(zip(names, cells, strict=True))


def _are_labelled(value: Mapping[str, Any], wanted: Callable[[str], bool]) -> bool:
    """Tell rows under their labels from one row, and from splits with columns of their own."""
    rows = list(value.values())
    if any(wanted(label) for label in value):
        return False
    return bool(rows) and all(isinstance(row, Mapping) and _has_cells(row, wanted) for row in rows)


def _has_cells(row: Mapping[str, Any], wanted: Callable[[str], bool]) -> bool:
    """Tell an object with cells that are read; a list is a cell where it is one of messages."""
    cells = [cell for name, cell in row.items() if wanted(name)]
    return any(not isinstance(cell, list) or is_rows(cell) for cell in cells)


def _are_columns(value: Mapping[str, object]) -> bool:
    """Tell columns as pandas writes them: lists of one length, or objects of the same names."""
    columns = list(value.values())
    if len(columns) < 2:
        return False
    lists = [column for column in columns if isinstance(column, list)]
    if len(lists) == len(columns):
        return len({len(column) for column in lists}) == 1
    objects = [column for column in columns if isinstance(column, Mapping)]
    return len(objects) == len(columns) and all(
        column.keys() == objects[0].keys() and all(str(name).isdigit() for name in column)
        for column in objects
    )


def _rows_of_columns(value: Mapping[str, Any]) -> Iterator[object]:
    names = list(value)
    columns = [list(c.values()) if isinstance(c, Mapping) else c for c in value.values()]
    for cells in zip(*columns, strict=True):
        yield dict(zip(names, cells, strict=True))
