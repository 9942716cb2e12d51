"""Values, texts and bytes as they should not be, drawn from a seeded generator."""

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

DEEP = "[" * 3000 + "]" * 3000
INTEGERS = (0, 1, -1, 2, 3, 7, 16, 1000, 10**6, 10**9, 2**31, 2**63, 10**19 - 1, -(2**63))
FLOATS = (0.0, -0.0, 0.5, 1.0, 1e-300, 1e300, -1e300, 0.1, 3.7)
TEXTS = (
    *("", " ", "a", "x" * 300, "0", "null", "true", "nan", "inf", "1e999", "-1", "é", "𝕏", "\t"),
    *("..", "../x", "/", "~", "/dev/zero", "hf://a/b", "hf://", "s3://x/y", "a/b/c", "a" * 5000),
    *("str", "int", "[0]", "${x}", "${", "}", "all", "last", "auto", "none", "chat", "\x1b[31m"),
)


def scalar(rng: Random) -> Any:
    """Draw one value that is neither a list nor a mapping."""
    draw: Callable[[], Any] = rng.choice(
        (
            lambda: rng.choice(INTEGERS),
            lambda: rng.choice(FLOATS),
            lambda: rng.choice(TEXTS),
            lambda: rng.choice((None, True, False)),
        )
    )
    return draw()


def value(rng: Random, depth: int = 3) -> Any:
    """Draw any JSON value."""
    if depth == 0 or rng.random() < 0.6:
        return scalar(rng)
    if rng.random() < 0.5:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {str(rng.choice(TEXTS)): value(rng, depth - 1) for _ in range(rng.randrange(4))}


def places(tree: Any) -> list[tuple[Any, Any]]:
    """List every (list or mapping, position or key) in a value."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        here = waiting.pop()
        keys = here.keys() if isinstance(here, dict) else range(len(here))
        for key in list(keys):
            found.append((here, key))
            if isinstance(here[key], (dict, list)):
                waiting.append(here[key])
    return found


def changed_tree(tree: Any, rng: Random, times: int = 1) -> Any:
    """Return a value with some of its inner values changed, left out, renamed or swapped."""
    tree = copy.deepcopy(tree)
    for _ in range(times):
        inside = places(tree) if isinstance(tree, (dict, list)) else []
        if not inside:
            return value(rng)
        here, key = rng.choice(inside)
        kind = rng.random()
        if kind < 0.6:
            here[key] = value(rng)
        elif kind < 0.75:
            del here[key]
        elif kind < 0.85 and isinstance(here, dict):
            here[str(rng.choice(TEXTS))] = here.pop(key)
        elif kind < 0.9 and isinstance(here, dict):
            here[str(rng.choice(TEXTS))] = value(rng)
        else:
            other, other_key = rng.choice(inside)
            here[key] = copy.deepcopy(other.get(other_key) if isinstance(other, dict) else None)
    return tree


def changed_bytes(data: bytes, rng: Random) -> bytes:
    """Return bytes cut, flipped, doubled, or replaced by what is no text."""
    kind = rng.randrange(9)
    at = rng.randrange(len(data) + 1)
    until = min(len(data), at + rng.randrange(1, 30))
    junk = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 12)))
    return (
        data[:at],
        data[:at] + junk + data[until:],
        data[:at] + junk + data[at:],
        data[:at] + data[until:],
        data[:at] + data[at:until] * 3 + data[until:],
        b"",
        junk,
        rng.choice(
            (DEEP.encode(), b"\xff\xfe\x00", b"null", b"123", b'"x"', b"[]", b"{}", b"\0" * 9)
        ),
        data[:at] + rng.choice((b"\0", b"\n", b"\r", b"\t", b"\xf0\x9f", b"1" * 5000)) + data[at:],
    )[kind]


def changed_json(data: bytes, rng: Random) -> bytes:
    """Return a JSON document changed in its values, or in its bytes."""
    if rng.random() < 0.3:
        return changed_bytes(data, rng)
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return changed_bytes(data, rng)
    written = json.dumps(changed_tree(tree, rng, rng.randrange(1, 4)))
    if rng.random() < 0.1:
        digits = rng.choice(("9" * 5000, "NaN", "Infinity", "1e999", "-0", DEEP))
        written = written.replace(rng.choice(("1", "0", "null", "{}")), digits, 1)
    return written.encode()
