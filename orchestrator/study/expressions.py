"""`${axis}`, `${axis.field}` and `${DELTASCALE_DATA}` inside the params of a stage.

A value that is one expression keeps the type of what it names; inside longer text it is written
as in a cell's name. Nothing else of the environment is ever read.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.errors import UserError, unknown_name
from orchestrator.study.names import value_name
from orchestrator.study.study_file import Place, refuse_secret

DATA_VARIABLE = "DELTASCALE_DATA"
"""The one environment variable a study may name."""

_EXPRESSION = re.compile(r"\$\{([^{}]*)\}")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What expressions may name in one cell."""

    values: Mapping[str, tuple[str, Any]]
    """Axis -> name and value there."""
    where: Callable[[Place], str]
    """`file:line` of a place inside the params."""

    def expand(self, value: Any, place: Place = ()) -> Any:
        """The value with every expression replaced. Raises UserError."""
        if isinstance(value, str):
            return self._text(value, place) if "${" in value else value
        if isinstance(value, Mapping):
            return {name: self.expand(item, (*place, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item, (*place, index)) for index, item in enumerate(value)]
        return value

    def _text(self, text: str, place: Place) -> Any:
        whole = _EXPRESSION.fullmatch(text)
        if whole:
            return self._meaning(whole[1].strip(), place)

        def written(found: re.Match[str]) -> str:
            meaning = self._meaning(found[1].strip(), place)
            if meaning is None or isinstance(meaning, (Mapping, list)):
                raise UserError(
                    f"{found[0]} is no text or number, so it cannot stand inside a text",
                    where=self.where(place),
                )
            return value_name(meaning)

        return _EXPRESSION.sub(written, text)

    def _meaning(self, expression: str, place: Place) -> Any:
        if expression == DATA_VARIABLE:
            return _data_folder(self.where(place))
        axis = axis_of(expression, self.values)
        if axis is None:
            raise unknown_expression(expression, self.values, self.where(place))
        name, value = self.values[axis]
        if expression == axis:
            return name if isinstance(value, Mapping) else value
        found = self._field(expression, axis, place)
        return Scope(values={}, where=lambda _: self.where(place)).expand(found)

    def _field(self, expression: str, axis: str, place: Place) -> Any:
        name, found = self.values[axis]
        for part in expression[len(axis) + 1 :].split("."):
            if not isinstance(found, Mapping):
                raise UserError(
                    f"${{{expression}}}: {axis} {name!r} has no fields there",
                    where=self.where(place),
                    hint=f"write ${{{axis}}}, or make the value a mapping with a name",
                )
            if part not in found:
                what = f"field of {axis} {name!r}"
                raise unknown_name(what, part, found, where=self.where(place))
            found = found[part]
        return found


def expressions_in(value: Any, place: Place = ()) -> Iterator[tuple[str, Place]]:
    """Every expression inside a value, with its place; of an unclosed one, what is there."""
    if isinstance(value, str):
        for found in _EXPRESSION.finditer(value):
            yield found[1].strip(), place
        for rest in _EXPRESSION.sub("", value).split("${")[1:]:
            yield "${" + rest, place
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from expressions_in(item, (*place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from expressions_in(item, (*place, index))


def axis_of(expression: str, axes: Iterable[str]) -> str | None:
    """The axis that an expression names, or None."""
    named = [axis for axis in axes if expression == axis or expression.startswith(axis + ".")]
    return max(named, key=len, default=None)


def unknown_expression(expression: str, axes: Iterable[str], where: str) -> UserError:
    """The fault of an expression that names nothing."""
    if expression.startswith("${"):
        return UserError(f"{expression!r} is not closed with }}", where=where)
    return unknown_name("name in ${}", expression, [*axes, DATA_VARIABLE], where=where)


def _data_folder(where: str) -> str:
    value = os.environ.get(DATA_VARIABLE)
    if not value:
        raise UserError(
            f"${{{DATA_VARIABLE}}} is used here, but the environment does not set it",
            where=where,
            hint=f"export {DATA_VARIABLE}=/folder/with/the/data",
        )
    refuse_secret(value, f"the environment variable {DATA_VARIABLE}")
    return value
