"""The kinds that measure, and what they measure: every kind that declares `MEASURES`."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jobs.kind import KINDS


@cache
def measuring_kinds() -> Mapping[str, tuple[str, ...]]:
    """Map each kind that writes measurements to the names of the values it writes."""
    values = {name: KINDS.find(name).MEASURES for name in KINDS.names()}
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
    kinds = [KINDS.find(name) for name in KINDS.names()]
    return {value: place for kind in kinds for value, place in kind.HEADLINES.items()}
