"""What differs between the identity a job had before and the one it has now, in words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Identity = Mapping[str, Any]
"""`Job.identity`, or the same read back from `job.json`."""

_LONGEST = 40


def changes(before: Identity, now: Identity, label_of: Callable[[str], str]) -> list[str]:
    """Each difference as one phrase: which param, from what to what; which pin; which input.

    Args:
        before: the earlier identity.
        now: the present one.
        label_of: key of a job of this plan -> how people read it.
    """
    return [
        *_version(before, now),
        *_values("", _flat(before.get("params", {})), _flat(now["params"])),
        *_values("pin ", _flat(before.get("pins", {})), _flat(now["pins"])),
        *_inputs(before.get("inputs", {}), now["inputs"], label_of),
    ]


def _version(before: Identity, now: Identity) -> Iterator[str]:
    if before.get("version") != now["version"]:
        yield f"version of kind {now['kind']}: {before.get('version')} -> {now['version']}"


def _flat(value: Any, place: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {place: value} if place else {}
    found: dict[str, Any] = {}
    for name, item in value.items():
        found |= _flat(item, f"{place}.{name}" if place else name)
    return found


def _values(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*before, *now}):
        was, now_is = before.get(name), now.get(name)
        if was == now_is and (name in before) == (name in now):
            continue
        if _is_digest(was) and _is_digest(now_is):
            yield f"{what}{name}: the bytes of the file changed"
        else:
            yield f"{what}{name}: {_shown(name, before)} -> {_shown(name, now)}"


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("xxh3:")


def _shown(name: str, values: Mapping[str, Any]) -> str:
    if name not in values:
        return "(not there)"
    text = str(values[name])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _inputs(
    before: Mapping[str, Sequence[Any]],
    now: Mapping[str, Sequence[Any]],
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


def _key(ref: Any) -> str:
    """Of an input as an identity holds it: a key, or with its cell where the job gathers."""
    key: str = ref["key"] if isinstance(ref, Mapping) else ref
    return key
