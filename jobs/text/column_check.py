"""Checks the columns of a data file: those that must be there, and names that nearly are ours.

A column that is read where it exists, and stands there under nearly its name, would go unread.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from cluster.errors import UserError
from jobs.text.rows.fault import shown
from jobs.text.rows.table import Table
from jobs.text.side_columns import way_to_order_sides

ALSO_PROMPTS = (
    *("question", "instruction", "input", "query", "context", "user", "problem", "prompt_text"),
    *("prompts", "post", "request", "history", "user_input", "user_prompt", "opening"),
)
"""Names that prompts have elsewhere."""
_PLAIN_NAME = re.compile(r"[\w.-]+", re.ASCII)


def check_columns(
    path: Path,
    table: Table,
    needed: Sequence[str],
    optional: Sequence[Sequence[str]],
    columns: Mapping[str, str],
) -> None:
    """Raise UserError where a column is missing, or an optional one has nearly its name.

    Args:
        path: the file.
        table: what was read of it.
        needed: columns that must exist, as the format calls them.
        optional: columns that are read where they exist, as the format calls them; those of one
            group stand for each other.
        columns: the format's name -> the file's, where a study names it.
    """
    if not table.rows:
        return  # every line is at fault, which says more than a missing column
    wanted = {columns.get(name, name) for name in (*needed, *chain(*optional))}
    unread = [name for name in table.columns if name not in wanted]
    places = {name: columns.get(name, name) for name in needed}
    missing = {name: place for name, place in places.items() if not has(table, place)}
    if missing:
        raise _missing(path, table, missing, list(places.values()), unread)
    for group in optional:
        if any(name in columns or name in table.columns for name in group):
            continue
        for name in group:
            near = like(unread, [name])
            if near is not None:
                raise of_another_name(path, name, near)


def has(table: Table, name: str) -> bool:
    """Tell whether a table has a column, or a part of a nested one."""
    return name in table.columns or any(row.cell(name) is not None for row in table.rows)


def like(columns: Iterable[str], names: Iterable[str]) -> str | None:
    """Return the first column that has one of the names but for case, blanks and signs."""
    bare = {_bare(name) for name in names}
    return next((column for column in columns if _bare(column) in bare), None)


def of_another_name(path: Path | None, name: str, column: str) -> UserError:
    """Make the fault for a column that seems to be there under another name."""
    return UserError(
        f"missing column {name}",
        where=str(path),
        hint=f"if {column!r} is it: options: {{columns: {{{name}: {_as_yaml(column)}}}}}; "
        "else rename it",
    )


def _bare(name: str) -> str:
    """Return a name without case, blanks, underscores, signs and what is not seen at all."""
    letters = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in letters if letter.isalnum())


def _as_yaml(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name)


def _missing(
    path: Path,
    table: Table,
    missing: Mapping[str, str],
    needed: Sequence[str],
    unread: Sequence[str],
) -> UserError:
    """Make the fault for columns that are not there: the format's name -> the file's."""
    nested = {
        name: f"{outer}.{place}"
        for name, place in missing.items()
        for outer in table.columns
        if f"{outer}.{place}" in table.inner or _is_inside(table.rows[0].cells.get(outer), place)
    }
    near = {
        name: _as_yaml(column)
        for name, place in missing.items()
        if (column := like(unread, [place]))
    }
    ways = [f"it has {shown(table.columns)}; needed are {', '.join(needed)}"]
    order = None if near else way_to_order_sides(list(missing), unread)
    if nested:
        ways.append(f"name those inside others: options: {{columns: {{{_written(nested)}}}}}")
    elif order is not None:
        ways.append(order)
    else:
        named = _written(near or {next(iter(missing)): "NAME"})
        ways.append(f"options: {{columns: {{{named}}}}} reads one of another name")
    return UserError(
        f"missing column{'s' if len(missing) > 1 else ''} {', '.join(missing.values())}",
        where=str(path),
        hint="; ".join(ways),
    )


def _written(names: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {place}" for name, place in names.items())


def _is_inside(cell: object, name: str) -> bool:
    return isinstance(cell, Mapping) and name in cell
