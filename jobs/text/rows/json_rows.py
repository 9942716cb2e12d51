"""Rows of JSON: an object per line, an array of objects, or an object of columns.

What a file is, its content decides: data sets hold lines of JSON in files called `.json`, too.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import UserError
from jobs.text.rows.fault import RowFault, shown
from jobs.text.rows.lines import read_lines
from jobs.text.rows.table import Malformed, Row, Table


def parse_json(text: str) -> Any:
    """Parse JSON that somebody else wrote. Raises RowFault where it cannot be."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise RowFault("not JSON") from None
    except RecursionError:
        raise RowFault("JSON that is nested too deeply") from None
    except ValueError:  # Python refuses integers of thousands of digits
        raise RowFault("a number of too many digits") from None


def read_json(path: Path, *, in_lines: bool) -> Table:
    """Read a file of JSON.

    Args:
        path: the file.
        in_lines: whether an object on the only line is a row.

    Raises:
        UserError: it is not UTF-8, or holds JSON that is no rows.
    """
    lines = read_lines(path)
    whole = _as_one_value(lines, in_lines)
    if whole is None:
        rows, malformed = _rows_of_lines(lines)
    else:
        rows, malformed = _numbered(_objects(path, whole))
    columns = list(dict.fromkeys(name for row in rows for name in row.cells))
    return Table(columns=columns, rows=rows, malformed=malformed)


def _as_one_value(lines: Sequence[str], in_lines: bool) -> Any:
    """Return the value that the whole file is; None for a file of lines of JSON."""
    first = next((line for line in lines if line.strip()), "")
    try:
        is_line = isinstance(parse_json(first), Mapping)
    except RowFault:
        is_line = False
    several = sum(1 for line in lines if line.strip()) > 1
    if not first.lstrip().startswith(("[", "{")) or (is_line and (several or in_lines)):
        return None
    try:
        value = parse_json("\n".join(lines))
    except RowFault:
        return None
    # A list of other things than rows is a line of a file of lines.
    return value if isinstance(value, Mapping) or _is_rows(value) else None


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)


def _rows_of_lines(lines: Sequence[str]) -> tuple[list[Row], list[Malformed]]:
    rows, malformed = [], []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(Row(number=number, cells=_object_of_line(line)))
        except RowFault as fault:
            malformed.append(Malformed(row=number, reason=str(fault)))
    return rows, malformed


def _object_of_line(line: str) -> Mapping[str, Any]:
    if not line.strip():
        raise RowFault("empty line")
    value = parse_json(line)
    if not isinstance(value, Mapping):
        raise RowFault("not a JSON object")
    return value


def _numbered(values: Iterator[object]) -> tuple[list[Row], list[Malformed]]:
    rows, malformed = [], []
    for number, value in enumerate(values, start=1):
        if isinstance(value, Mapping):
            rows.append(Row(number=number, cells=value))
        else:
            malformed.append(Malformed(row=number, reason="not a JSON object"))
    return rows, malformed


def _objects(path: Path, value: Any) -> Iterator[object]:
    """Yield the rows of a value: a list of them, a list of them under one name, or columns."""
    if isinstance(value, list):
        return iter(value)
    if _are_columns(value):
        return _rows_of_columns(value)
    lists = [name for name, inside in value.items() if _is_rows(inside)]
    if "chosen" in lists or not lists:
        return iter([value])
    if len(lists) > 1:
        raise UserError(
            "it holds several lists of rows",
            where=str(path),
            hint=f"write each ({shown(lists)}) to a file of its own",
        )
    return iter(value[lists[0]])


def _are_columns(value: Mapping[str, object]) -> bool:
    """Tell columns as pandas writes them: lists of one length, or objects of the same names."""
    columns = list(value.values())
    if len(columns) < 2:
        return False
    if all(isinstance(column, list) for column in columns):
        return len({len(column) for column in columns}) == 1  # type: ignore[arg-type]
    return all(
        isinstance(column, Mapping) and column.keys() == columns[0].keys()  # type: ignore[attr-defined]
        and all(str(name).isdigit() for name in column)
        for column in columns
    )  # fmt: skip


def _rows_of_columns(value: Mapping[str, Any]) -> Iterator[object]:
    names = list(value)
    columns = [list(c.values()) if isinstance(c, Mapping) else c for c in value.values()]
    for cells in zip(*columns, strict=True):
        yield dict(zip(names, cells, strict=True))
