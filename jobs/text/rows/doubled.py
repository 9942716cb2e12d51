"""Names that stand twice: of two columns or cells of one name, which is meant?"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import UserError
from jobs.text.rows.fault import RowFault, shown


class Doubled(dict[str, Any]):
    """A JSON object in which names stand twice; it holds what stands last, as parsers do."""

    names: Sequence[str]
    """Those names."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    doubled = Doubled(value)
    doubled.names = doubled_in([name for name, _ in pairs])
    return doubled


DECODER = json.JSONDecoder(object_pairs_hook=_object)
"""Parses JSON; an object in which a name stands twice is `Doubled`."""


def doubled_in(names: Sequence[str]) -> list[str]:
    """List the names that stand there several times."""
    return [name for name, count in Counter(names).items() if count > 1]


def refuse_doubled_columns(path: Path, names: Sequence[str], wanted: Callable[[str], bool]) -> None:
    """Raise UserError where two columns have a name that is asked for."""
    _refuse(path, [name for name in doubled_in(names) if wanted(name)])


def _refuse(path: Path, doubled: Sequence[str]) -> None:
    if doubled:
        raise UserError(
            f"{shown(doubled)} stands there several times",
            where=str(path),
            hint="rename or take out all but the one that is meant",
        )


def refuse_doubled_labels(path: Path, value: Mapping[str, Any]) -> None:
    """Raise UserError where an object of rows, or of lists of them, has a name twice."""
    if isinstance(value, Doubled):
        _refuse(path, [name for name in value.names if name])


def refuse_doubled_lists(path: Path, value: Mapping[str, Any]) -> None:
    """Raise UserError where an object of columns has a name twice, or one of them a label."""
    for item in (value, *value.values()):
        if isinstance(item, Mapping):
            refuse_doubled_labels(path, item)


def refuse_doubled_cells(row: Mapping[str, Any], wanted: Callable[[str], bool]) -> None:
    """Raise RowFault where a row has a cell that is asked for twice, or one has parts twice."""
    doubled = [name for name in row.names if wanted(name)] if isinstance(row, Doubled) else []
    if doubled:
        raise RowFault(f"it has {shown(doubled)} twice")
    for name, cell in row.items():
        if not isinstance(cell, str) and wanted(name):
            _refuse_inside(cell, repr(name))


def _refuse_inside(value: object, called: str) -> None:
    inside = [value]
    while inside:
        item = inside.pop()
        if isinstance(item, Doubled):
            raise RowFault(f"{called} has {shown(item.names)} twice")
        if isinstance(item, Mapping):
            inside += item.values()
        elif isinstance(item, list):
            inside += item
