"""Describes in words what differs between the identity a job had before and the one it has now."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

JSON = Any
"""A JSON value of any depth."""
Identity = Mapping[str, JSON]
"""`Job.identity`, or the same read back from `job.json`."""

_LONGEST = 40


def describe_changes(before: Identity, now: Identity, label_of: Callable[[str], str]) -> list[str]:
    """Describe each difference in one phrase: which param, pin or input, from what to what.

    Args:
        before: the earlier identity.
        now: the present one.
        label_of: key of a job of this plan -> how people read it.
    """
    return [
        *_version_changes(before, now),
        *_value_changes("", _flatten(before.get("params", {})), _flatten(now["params"])),
        *_value_changes("pin ", _flatten(before.get("pins", {})), _flatten(now["pins"])),
        *_input_changes(before.get("inputs", {}), now["inputs"], label_of),
    ]


def _version_changes(before: Identity, now: Identity) -> Iterator[str]:
    if before.get("version") != now["version"]:
        yield f"version of kind {now['kind']}: {before.get('version')} -> {now['version']}"


def _flatten(value: JSON, place: str = "") -> dict[str, JSON]:
    if not isinstance(value, Mapping) or not value:
        return {place: value} if place else {}
    flat: dict[str, JSON] = {}
    for name, item in value.items():
        flat |= _flatten(item, f"{place}.{name}" if place else name)
    return flat


def _value_changes(what: str, before: Mapping[str, JSON], now: Mapping[str, JSON]) -> Iterator[str]:
    for name in sorted({*before, *now}):
        was, now_is = before.get(name), now.get(name)
        if was == now_is and (name in before) == (name in now):
            continue
        if _is_digest(was) and _is_digest(now_is):
            yield f"{what}{name}: the bytes of the file changed"
        else:
            yield f"{what}{name}: {_text_of(name, before)} -> {_text_of(name, now)}"


def _is_digest(value: JSON) -> bool:
    return isinstance(value, str) and value.startswith(("xxh3:", "sha256:"))


def _text_of(name: str, values: Mapping[str, JSON]) -> str:
    if name not in values:
        return "(absent)"
    text = str(values[name])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _input_changes(
    before: Mapping[str, Sequence[JSON]],
    now: Mapping[str, Sequence[JSON]],
    label_of: Callable[[str], str],
) -> Iterator[str]:
    for name in sorted({*before, *now}):
        had = {_key(ref) for ref in before.get(name, ())}
        has = [_key(ref) for ref in now.get(name, ())]
        new = [key for key in has if key not in had]
        if name not in before:
            yield f"input {name}: now used"
        elif name not in now:
            yield f"input {name}: no longer used"
        elif len(has) == 1 and new:
            yield f"input {name}: {label_of(new[0])} changed"
        elif new:
            yield f"input {name}: {len(new)} of {len(has)} jobs changed, first {label_of(new[0])}"
        elif len(had) > len(set(has)):
            yield f"input {name}: {len(had) - len(set(has))} jobs fewer"
        elif list(before[name]) != list(now[name]):
            yield f"input {name}: its cells are named or ordered differently"


def _key(ref: JSON) -> str:
    """Return the key of an input; the identity of a gathering job holds its stage and cell, too."""
    key: str = ref["key"] if isinstance(ref, Mapping) else ref
    return key
