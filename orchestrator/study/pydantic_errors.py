"""From a pydantic fault to one message with file and line."""

import re
from collections.abc import Callable
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cluster.errors import UserError, unknown_name
from orchestrator.study.study_file import Place


def user_error(
    fault: ValidationError, model: type[BaseModel], what: str, where: Callable[[Place], str]
) -> UserError:
    """The fault as the user reads it.

    Args:
        fault: what pydantic raised.
        model: the model it was raised for.
        what: what one field of it is called (`param`, `field`).
        where: `file:line` of a place inside the validated value.
    """
    by_place: dict[Place, list[Any]] = {}
    for error in fault.errors(include_url=False):
        by_place.setdefault(_place(error), []).append(error)
    _drop_consequences(by_place)
    # A misspelt name comes before the required one that it leaves missing.
    groups = sorted(by_place.values(), key=lambda errors: errors[0]["type"] != "extra_forbidden")
    first, *others = (_one(errors, model, what, where) for errors in groups)
    return UserError(
        "\n  also ".join([first.error, *(f"{other.where}: {other.error}" for other in others)]),
        where=first.where,
        allowed=first.allowed,
        hint=first.hint,
    )


def _drop_consequences(by_place: dict[Place, list[Any]]) -> None:
    """A sequence without its wrong members may be too short: told by its members."""
    for place in list(by_place):
        inside = (other for other in by_place if other[: len(place)] == place != other)
        if by_place[place][0]["type"] == "too_short" and any(inside):
            del by_place[place]


def _one(
    errors: list[Any], model: type[BaseModel], what: str, where: Callable[[Place], str]
) -> UserError:
    """One message for all faults of one place: the members of a union each have their own."""
    error, place = errors[0], _place(errors[0])
    line, name = where(place), ".".join(str(part) for part in place)
    if error["type"] == "extra_forbidden":
        return unknown_name(what, str(place[-1]), _fields(model, place[:-1]), where=line)
    if error["type"] == "missing":
        return UserError(f"the {what} {name!r} is required", where=line)
    if error["type"] in ("literal_error", "enum") and len(errors) == 1:
        allowed = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        return unknown_name(f"{name}", str(error["input"]), allowed, where=line)
    said = " or ".join(dict.fromkeys(_said(each) for each in errors))
    text = f"{what} {name!r}: {said}" if name else said
    if error["type"] in ("value_error", "assertion_error"):
        return UserError(text, where=line)
    return UserError(f"{text}, got {_shown(error['input'])}", where=line)


def _said(error: Any) -> str:
    message: str = error["msg"]
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _place(error: Any) -> Place:
    """The place without the names that pydantic adds for members of a union."""
    return tuple(
        part
        for part in error["loc"]
        if not (isinstance(part, str) and re.search(r"[\[\]()]|^(bool|int|float|str)$", part))
    )


def _fields(model: type[BaseModel], place: Place) -> list[str]:
    """Fields allowed at a place inside a model."""
    parts = iter(place)
    for part in parts:
        annotation = model.model_fields[str(part)].annotation
        model = _model_in(annotation) or model
        if get_origin(annotation) in (dict, list):
            next(parts, None)
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
