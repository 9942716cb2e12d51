"""Which kinds measure, and what: every kind that defines `MEASURES`. There is no list to edit."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jobs import lookup


@cache
def measuring_kinds() -> Mapping[str, tuple[str, ...]]:
    """Name of each kind that writes measurements -> the names of the values it writes."""
    found: dict[str, tuple[str, ...]] = {}
    for name in lookup.names("kinds"):
        values = getattr(lookup.find("kinds", name), "MEASURES", None)
        if values is not None:
            found[name] = tuple(values)
    return found


def value_names() -> list[str]:
    """What kinds measure: a value is called `NAME`, or `NAME_…` where a metric reports several."""
    return sorted({name for values in measuring_kinds().values() for name in values})


def expected_values(kind: str, params: Mapping[str, Any]) -> Sequence[str]:
    """Names that one job would have written: those of its metrics, or all of its kind's."""
    asked, known = params.get("metrics"), measuring_kinds().get(kind, ())
    if not asked:
        return known
    return [name for name in known if any(_is_of(name, metric) for metric in asked)] or list(asked)


def _is_of(value: str, metric: str) -> bool:
    """`patched_toxic_mass` and `toxic_mass_share` are values of `toxic_mass`."""
    return value == metric or value.endswith(f"_{metric}") or value.startswith(f"{metric}_")
