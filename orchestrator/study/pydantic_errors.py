"""Turns the errors of pydantic into one message with file and line."""

import re
from collections.abc import Callable, Sequence
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cluster.errors import UserError, unknown_name
from orchestrator.study.study_file import Place


def user_error(
    fault: ValidationError,
    model: type[BaseModel],
    value: object,
    what: str,
    where: Callable[[Place], str],
) -> UserError:
    """Make one user error of all that pydantic found wrong.

    Args:
        fault: what pydantic raised.
        model: the model it was raised for.
        value: what was validated.
        what: the noun for one of its fields (`param`, `field`).
        where: `file:line` of a place inside the validated value.
    """
    by_place: dict[Place, list[ErrorDetails]] = {}
    for error in fault.errors(include_url=False):
        by_place.setdefault(_place(error, value), []).append(error)
    _drop_consequences(by_place)
    # A misspelt name comes before the required one that it leaves missing.
    groups = sorted(by_place.values(), key=lambda errors: errors[0]["type"] != "extra_forbidden")
    first, *others = (
        _error_at_place(errors, _place(errors[0], value), model, what, where) for errors in groups
    )
    return UserError(
        "\n  also ".join([first.error, *(f"{other.where}: {other.error}" for other in others)]),
        where=first.where,
        allowed=first.allowed,
        hint=first.hint,
    )


def _drop_consequences(by_place: dict[Place, list[ErrorDetails]]) -> None:
    """Drop the complaint that a list is too short where its members are wrong themselves."""
    for place in list(by_place):
        inside = (other for other in by_place if other[: len(place)] == place != other)
        if by_place[place][0]["type"] == "too_short" and any(inside):
            del by_place[place]


def _error_at_place(
    errors: list[ErrorDetails],
    place: Place,
    model: type[BaseModel],
    what: str,
    where: Callable[[Place], str],
) -> UserError:
    """Make one message for all errors of one place: each member of a union has its own."""
    error = errors[0]
    line, name = where(place), shorten(".".join(str(part) for part in place))
    if error["type"] == "extra_forbidden":
        return unknown_name(what, str(place[-1]), _fields(model, place[:-1]), where=line)
    if error["type"] == "missing":
        return UserError(f"the {what} {name!r} is required", where=line)
    if error["type"] in ("literal_error", "enum") and len(errors) == 1:
        allowed = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        return unknown_name(f"{name}", shorten(str(error["input"])), allowed, where=line)
    text = message_of(errors)
    return UserError(f"{what} {name!r}: {text}" if name else text, where=line)


def message_of(errors: Sequence[ErrorDetails]) -> str:
    """Return what is wrong with one value, without its place; a union has an error per member."""
    error = errors[0]
    messages = " or ".join(dict.fromkeys(_message(each) for each in errors))
    if error["type"] in ("value_error", "assertion_error"):
        return messages
    return f"{messages}, got {shorten(repr(error['input']))}"


_SHAPES = {
    **dict.fromkeys(("sequence_str", "list_type", "tuple_type"), "write a list, such as [a, b]"),
    "string_type": "write a valid string, in quotes where YAML reads something else",
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type"), "write a mapping, such as {name: value}"
    ),
}
"""Type of pydantic's error, whose message names classes of Python -> what to write in YAML."""


def _message(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "is_instance_of" and error.get("ctx", {}).get("class") == "Sequence":
        kind = "list_type"
    if kind in _SHAPES:
        return _SHAPES[kind]
    return error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _place(error: ErrorDetails, value: object) -> Place:
    """Return the place without what is not in the value: pydantic names members of a union, too."""
    place: list[str | int] = []
    for part in error["loc"]:
        is_there = part in value if isinstance(value, dict) else False
        if is_there or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            value = value[part]  # type: ignore[index]
            place.append(part)
    if error["type"] == "missing":
        place.append(error["loc"][-1])
    return tuple(place)


def _fields(model: type[BaseModel], place: Place) -> list[str]:
    """List the fields allowed at a place inside a model."""
    parts = iter(place)
    for part in parts:
        if str(part) not in model.model_fields:
            continue
        annotation = model.model_fields[str(part)].annotation
        model = _model_in(annotation) or model
        if get_origin(annotation) in (dict, list):
            next(parts, None)
    return list(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = (_model_in(part) for part in get_args(annotation))
    return next((model for model in models if model is not None), None)


def shorten(text: str) -> str:
    """Return a text of a user's as a message can hold it."""
    return text if len(text) <= 60 else text[:57] + "..."
