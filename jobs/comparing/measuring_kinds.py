"""The kinds that measure, and what they measure: every kind that declares `MEASURES`."""

from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from typing import Any

from analysis.door import brought_now
from jobs.kind import KINDS


def measuring_kinds() -> Mapping[str, tuple[str, ...]]:
    """Map each kind that writes measurements to the names of the values it writes."""
    return _measuring_kinds(brought_now())


@cache
def _measuring_kinds(brought: Hashable) -> Mapping[str, tuple[str, ...]]:
    kinds = {name: KINDS.get(name) for name in KINDS.names()}
    values = {name: kind.MEASURES for name, kind in kinds.items() if kind is not None}
    return {name: measured for name, measured in values.items() if measured}


def value_names() -> list[str]:
    """List what kinds measure: a value is `NAME`, or `NAME_…` where a metric reports several."""
    return sorted({name for values in measuring_kinds().values() for name in values})


def expected_values(kind: str, params: Mapping[str, Any]) -> Sequence[str]:
    """List the values that a job of these params writes: of its metrics, or all of its kind's."""
    metrics, values = params.get("metrics"), measuring_kinds().get(kind, ())
    if not metrics:
        return values
    wanted = [value for value in values if any(_is_value_of(value, name) for name in metrics)]
    return wanted or list(metrics)


def _is_value_of(value: str, metric: str) -> bool:
    """Whether a value is of a metric, as `patched_toxic_mass` is of `toxic_mass`."""
    return value == metric or value.endswith(f"_{metric}") or value.startswith(f"{metric}_")


def headlines_of_kinds() -> dict[str, int]:
    """Map values that kinds show in the default table -> sort number of their column."""
    return {value: place for kind in KINDS.entries() for value, place in kind.HEADLINES.items()}
