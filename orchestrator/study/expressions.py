"""`${axis}`, `${axis.field}` and `${DELTASCALE_DATA}` inside the params of a stage.

A param that is one expression has the type of the value it names; inside longer text the value is
written as in a cell's name. No other environment variable is ever read.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cluster.disk.written_path import absolute, expanded
from cluster.errors import UserError, unknown_name
from orchestrator.study.names import value_name
from orchestrator.study.study_file import Place, refuse_secret

DATA_VARIABLE = "DELTASCALE_DATA"
"""The one environment variable a study may name."""
DATA_FOLDER = "${" + DATA_VARIABLE + "}"
"""What stands for the folder where the variable is not set and a plan can do without it."""

_EXPRESSION = re.compile(r"\$\{([^{}]*)\}")


@dataclass(frozen=True, kw_only=True)
class CellValues:
    """The values that expressions may name in one cell."""

    values: Mapping[str, tuple[str, object]]
    """Axis -> label of the cell's value, and the value."""
    where: Callable[[Place], str]
    """`file:line` of a place inside the params."""
    may_lack_data: bool = False
    """True to leave the data folder as it is written where its variable is not set."""

    def expand(self, value: Any, place: Place = ()) -> Any:
        """Replace every expression inside a value. Raises UserError."""
        if isinstance(value, str):
            return self._expand_text(value, place) if "${" in value else value
        if isinstance(value, Mapping):
            return {name: self.expand(item, (*place, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item, (*place, index)) for index, item in enumerate(value)]
        return value

    def _expand_text(self, text: str, place: Place) -> object:
        whole = _EXPRESSION.fullmatch(text)
        if whole:
            return self._value_of(whole[1].strip(), place)

        def write(match: re.Match[str]) -> str:
            value = self._value_of(match[1].strip(), place)
            if value is None or isinstance(value, (Mapping, list)):
                raise UserError(
                    f"{match[0]} is neither a text nor a number, so a text cannot contain it",
                    where=self.where(place),
                )
            return value_name(value)

        return _EXPRESSION.sub(write, text)

    def _value_of(self, expression: str, place: Place) -> object:
        if expression == DATA_VARIABLE:
            if self.may_lack_data and not os.environ.get(DATA_VARIABLE):
                return DATA_FOLDER
            return _data_folder_or_raise(self.where(place))
        axis = axis_of(expression, self.values)
        if axis is None:
            raise unknown_expression(expression, self.values, self.where(place))
        name, value = self.values[axis]
        if expression == axis:
            return name if isinstance(value, Mapping) else value
        field = self._field(expression, axis, place)
        return replace(self, values={}, where=lambda _: self.where(place)).expand(field)

    def _field(self, expression: str, axis: str, place: Place) -> object:
        name, value = self.values[axis]
        for part in expression[len(axis) + 1 :].split("."):
            if not isinstance(value, Mapping):
                raise UserError(
                    f"${{{expression}}}: {axis} {name!r} has no field {part!r}",
                    where=self.where(place),
                    hint=f"write ${{{axis}}}, or make the value a mapping with a name",
                )
            if part not in value:
                what = f"field of {axis} {name!r}"
                raise unknown_name(what, part, value, where=self.where(place))
            value = value[part]
        return value


def expressions_in(value: object, place: Place = ()) -> Iterator[tuple[str, Place]]:
    """Yield every expression inside a value with its place; an unclosed one with its `${`."""
    if isinstance(value, str):
        for match in _EXPRESSION.finditer(value):
            yield match[1].strip(), place
        for rest in _EXPRESSION.sub("", value).split("${")[1:]:
            yield "${" + rest, place
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from expressions_in(item, (*place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from expressions_in(item, (*place, index))


def axis_of(expression: str, axes: Iterable[str]) -> str | None:
    """Return the axis that an expression names, or None."""
    matches = [axis for axis in axes if expression == axis or expression.startswith(axis + ".")]
    return max(matches, key=len, default=None)


def unknown_expression(expression: str, axes: Iterable[str], where: str) -> UserError:
    """Make the fault for an expression that names neither an axis nor the data folder."""
    if expression.startswith("${"):
        return UserError(f"{expression!r} has no closing }}", where=where)
    return unknown_name("name in ${}", expression, [*axes, DATA_VARIABLE], where=where)


def data_folder() -> str | None:
    """Return the folder that the variable names, from the working folder; None: it is not set.

    Raises:
        UserError: it names the home of no user, or begins in a working folder that was deleted.
    """
    value = os.environ.get(DATA_VARIABLE)
    if not value or "://" in value or os.path.isabs(value):
        return value or None
    what = f"the data folder ({DATA_VARIABLE})"
    return os.path.normpath(absolute(expanded(value, where=DATA_VARIABLE), what=what))


def _data_folder_or_raise(where: str) -> str:
    value = data_folder()
    if not value:
        raise UserError(
            f"the environment variable {DATA_VARIABLE} is not set, but the study uses it",
            where=where,
            hint=f"export {DATA_VARIABLE}=/folder/with/the/data",
            code="data-missing",
        )
    refuse_secret(value, f"the environment variable {DATA_VARIABLE}")
    return value
