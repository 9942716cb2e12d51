"""Checks names of studies, stages, axes and values: they become folders, columns and selectors."""

import re

from cluster.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_VALUE = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*")
_LONGEST = 100


def require_name(what: str, name: str, where: str) -> str:
    """Return the name of a study, stage or axis. Raises UserError when it is not safe."""
    return _require(_NAME, what, name, where)


def require_value_name(what: str, name: str, where: str) -> str:
    """Return the name of an axis value, which may also hold `+`. Raises UserError."""
    return _require(_VALUE, what, name, where)


def value_name(value: object) -> str:
    """Write a scalar as it stands in a cell's name or inside a text: one text per value.

    Numbers that are equal have one name, so that `1e-6` and `0.000001` are the same value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _require(pattern: re.Pattern[str], what: str, name: str, where: str) -> str:
    if pattern.fullmatch(name) and ".." not in name and len(name) <= _LONGEST:
        return name
    is_path = ".." in name or "/" in name or "\\" in name
    raise UserError(
        f"{what} {name!r} {'may not contain `..` or a slash' if is_path else 'cannot be a name'}",
        where=where,
        allowed=[
            f"up to {_LONGEST} letters, digits and {'. _ - +' if pattern is _VALUE else '. _ -'}"
            " (no . at the start)"
        ],
        hint="give the value a name: {name: …, …}" if pattern is _VALUE else None,
    )
