"""Canonical JSON and its hash: what makes two jobs the same job.

A closed set of types. What cannot be written the same in every process is refused, not guessed.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

KEY_LENGTH = 16
"""Characters of a key that name a folder."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(value: Any) -> str:
    """Write a value of str, bool, int, finite float, None, list and str-keyed mapping as one text.

    Raises TypeError or ValueError, naming the place, for anything else.
    """
    return _ENCODER.encode(_checked(value, "$"))


def key_of(identity: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of an identity, in 64 hex digits."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


def _checked(value: Any, where: str) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where}: {value} has no canonical form; leave it out or use null")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"{where}: the key {name!r} is not a string")
        return {name: _checked(item, f"{where}.{name}") for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_checked(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(
        f"{where}: a {type(value).__name__} cannot be part of an identity; "
        "use text, numbers, lists or mappings"
    )
