"""Rows of JSON: an object per line, an array of objects, or an object of columns.

What a file is, its content decides: data sets hold lines of JSON in files called `.json`, too.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.text.rows.doubled import DECODER, refuse_doubled_cells
from jobs.text.rows.fault import RowFault
from jobs.text.rows.json_forms import is_rows, objects_of, values_in
from jobs.text.rows.lines import read_lines
from jobs.text.rows.table import Malformed, Row, Table

_NOT_JSON = "not JSON"
_EMPTY = "empty line"


def parse_json(text: str) -> Any:
    """Parse JSON that somebody else wrote. Raises RowFault where it cannot be."""
    try:
        return DECODER.decode(text)
    except json.JSONDecodeError:
        raise RowFault(_NOT_JSON) from None
    except RecursionError:
        raise RowFault("JSON that is nested too deeply") from None
    except ValueError:  # Python refuses integers of thousands of digits
        raise RowFault("a number of too many digits") from None


def read_json(path: Path, wanted: Callable[[str], bool], *, in_lines: bool) -> Table:
    """Read a file of JSON.

    Args:
        path: the file.
        wanted: tells a column that is read.
        in_lines: whether an object on the only line is a row.

    Raises:
        UserError: it is not UTF-8, or holds JSON that is no rows.
    """
    lines = read_lines(path)
    whole = _as_one_value(lines, in_lines)
    if whole is None:
        rows, malformed = _numbered(_values_of_lines(lines), wanted)
        if len(rows) < len(malformed) and _begins_with_no_json(rows, malformed):
            rows, malformed = _rows_of_pieces(lines, wanted)
    else:
        rows, malformed = _numbered(objects_of(path, whole, wanted), wanted)
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
    return value if isinstance(value, Mapping) or is_rows(value) else None


def _begins_with_no_json(rows: Sequence[Row], malformed: Sequence[Malformed]) -> bool:
    first = next((line for line in malformed if line.reason != _EMPTY), None)
    if first is None or first.reason != _NOT_JSON:
        return False
    return not rows or first.row < rows[0].number


def _rows_of_pieces(
    lines: Sequence[str], wanted: Callable[[str], bool]
) -> tuple[list[Row], list[Malformed]]:
    """Read objects that stand one after the other, however they are set; else list all lines."""
    text = "\n".join(lines)
    start = len(text) - len(text.lstrip())
    values, fault = values_in(text.strip())
    if fault is None:
        return _numbered(iter(values), wanted)
    line = text.count("\n", 0, start + fault) + 1
    reason = (
        f"{_NOT_JSON} from line {line} on; read are an object per line, or one array of objects"
    )
    return [], [Malformed(row=number, reason=reason) for number in range(1, len(lines) + 1)]


def _values_of_lines(lines: Sequence[str]) -> Iterator[object]:
    """Yield the value of every line, or the fault for which it has none."""
    for line in lines:
        try:
            yield _value_of_line(line)
        except RowFault as fault:
            yield fault


def _value_of_line(line: str) -> object:
    if not line.strip():
        raise RowFault(_EMPTY)
    if not line.strip("\0"):
        raise RowFault("zero bytes, as a crash leaves them")
    return parse_json(line)


def _numbered(
    values: Iterator[object], wanted: Callable[[str], bool]
) -> tuple[list[Row], list[Malformed]]:
    rows, malformed = [], []
    for number, value in enumerate(values, start=1):
        try:
            rows.append(Row(number=number, cells=_cells(value, wanted)))
        except RowFault as fault:
            malformed.append(Malformed(row=number, reason=str(fault)))
    return rows, malformed


def _cells(value: object, wanted: Callable[[str], bool]) -> Mapping[str, Any]:
    """Return the cells of a row. Raises RowFault for what is none, or has a wanted name twice."""
    if isinstance(value, RowFault):
        raise value
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        raise RowFault("a list of texts, not of objects (one text a line is read from a .txt)")
    if not isinstance(value, Mapping):
        raise RowFault("not a JSON object")
    refuse_doubled_cells(value, wanted)
    return value
