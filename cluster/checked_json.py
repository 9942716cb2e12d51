"""Reads JSON that may be damaged: bounded in depth, and checked against the shape it must have.

Every file under a root can be cut short, overwritten, or replaced by a folder, and none of that may
reach a user as anything but damage. All that can be wrong is one ValueError of one line.
"""

import json
from collections import deque
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from cluster.disk.disk_faults import ForeignEntry
from cluster.errors import SurroundingsError
from cluster.storage import Storage

T = TypeVar("T")

_DEEPEST = 64
"""Lists and mappings inside one another: no file of ours has more than ten."""
_LONGEST_REASON = 200


def parse_json(data: bytes | str) -> Any:
    """Parse one JSON document.

    Raises:
        ValueError: it is not JSON, not UTF-8, nested too deeply, or holds a number of thousands of
            digits.
    """
    text = data.decode() if isinstance(data, bytes) else data
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    # Most documents have fewer brackets in all than may stand inside one another.
    if text.count("[") + text.count("{") > _DEEPEST:
        _check_depth(value)
    return value


def parse_as(shape: TypeAdapter[T], data: bytes | str) -> T:
    """Parse one JSON document that must have a shape. Raises ValueError of one line."""
    return checked(shape, parse_json(data))


def checked(shape: TypeAdapter[T], value: object) -> T:
    """Return a parsed value as the shape that it must have. Raises ValueError of one line."""
    try:
        return shape.validate_python(value)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        raise ValueError(reason[:_LONGEST_REASON]) from None


def read_file(storage: Storage, name: str) -> bytes | None:
    """Return the bytes of a file, or None where nothing is.

    Raises:
        ValueError: a folder, a link or a pipe is in its place.
    """
    try:
        return storage.read(name)
    except FileNotFoundError:
        return None
    except ForeignEntry as fault:
        raise ValueError(fault.error) from None


def read_as(storage: Storage, name: str, shape: TypeAdapter[T]) -> T | None:
    """Read a JSON file under a root; None where nothing is. Raises ValueError where damaged."""
    data = read_file(storage, name)
    return None if data is None else parse_as(shape, data)


def damaged_file(
    storage: Storage, name: str, reason: object, hint: str | None = None
) -> SurroundingsError:
    """Make the fault for a damaged file under a root, without which it cannot go on."""
    return SurroundingsError(
        f"{name} is damaged: {str(reason)[:_LONGEST_REASON]}",
        where=storage.url,
        hint=hint,
        code="damaged-file",
    )


def _check_depth(value: object) -> None:
    level = deque([value])
    for _ in range(_DEEPEST):
        below: deque[object] = deque()
        for item in level:
            if isinstance(item, dict):
                below.extend(inner for inner in item.values() if isinstance(inner, (dict, list)))
            elif isinstance(item, list):
                below.extend(inner for inner in item if isinstance(inner, (dict, list)))
        if not below:
            return
        level = below
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {_DEEPEST} levels deep")
