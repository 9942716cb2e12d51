"""Puts the answers of nodes together for people: what all say alike is said once."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from cluster.fitness.looking import Answer
from orchestrator.doctor.check import Line, unchecked
from orchestrator.text import pluralize

Value = TypeVar("Value", bound=Hashable)
_MOST_NAMED = 4


def seen(answers: Mapping[str, Answer]) -> dict[str, Mapping[str, Any]]:
    """Return the values of the nodes that answered, by their names."""
    return {name: answer.value for name, answer in answers.items() if answer.value is not None}


def silent(answers: Mapping[str, Answer]) -> Iterable[Line]:
    """Yield a line for each reason why nodes did not answer."""
    for fault, names in alike({n: a.fault for n, a in answers.items() if a.value is None}).items():
        yield unchecked(f"{at(names, len(answers))}{fault}")


def alike(values: Mapping[str, Value]) -> dict[Value, list[str]]:
    """Return value -> the nodes that have it, in their order."""
    nodes: dict[Value, list[str]] = {}
    for name, value in values.items():
        nodes.setdefault(value, []).append(name)
    return nodes


def listed(names: Sequence[str]) -> str:
    """Write names as `n1, n2, n3`, or `n1, n2, n3, n4 and 12 more`."""
    more = len(names) - _MOST_NAMED
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def at(names: Sequence[str], number: int) -> str:
    """Begin a line on some of so many nodes: `n1, n2: `, `3 nodes: `, or nothing for the only one.

    The names are those of the nodes, in order.
    """
    if number == 1:
        return ""
    return f"{pluralize(number, 'node')}: " if len(names) == number else f"{listed(names)}: "
