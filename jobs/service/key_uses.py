"""Which keys and what data would a job send to which hosts? Read off its params, whatever its kind.

Every param that is a `VariableName` names a key, and every `Address` beside it is where it goes; so
a kind or a scorer that is added has nothing to declare, and nothing to forget.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel

from jobs.params import Chooses
from jobs.service.credentials import Mark


@dataclass(frozen=True, order=True, kw_only=True)
class KeyUse:
    """One key that goes to one host."""

    variable: str
    """Name of the environment variable that holds it."""
    host: str
    """`host` or `host:port`; with `http://` before it where the way there is not encrypted."""


@dataclass(frozen=True, order=True, kw_only=True)
class HostUse:
    """One host that is asked."""

    host: str
    """As of a KeyUse."""
    sent: str
    """What leaves for it: `SENDS` of the params that hold the address."""


def key_uses(params: BaseModel) -> frozenset[KeyUse]:
    """Return the keys that these params name, each with every address beside it."""
    return frozenset(_uses(params))


def host_uses(params: BaseModel) -> frozenset[HostUse]:
    """Return every host that these params name, with what leaves for it."""
    return frozenset(
        HostUse(host=host_of(address), sent=getattr(type(each), "SENDS", "data"))
        for each in _nested(params)
        for address in _marked(each, Mark.ADDRESS)
    )


@cache
def may_ask_hosts(model: type[BaseModel]) -> bool:
    """Tell whether any params of this model name a key, or an address that is asked."""
    return any(
        not {Mark.KEY, Mark.ADDRESS}.isdisjoint(mark for mark in marks if isinstance(mark, Mark))
        or any(isinstance(mark, Chooses) for mark in marks)
        or inner
        for _, marks, inner in _fields(model)
    )


def _uses(params: BaseModel) -> Iterator[KeyUse]:
    for each in _nested(params):
        keys, addresses = _marked(each, Mark.KEY), _marked(each, Mark.ADDRESS)
        assert addresses or not keys, f"{type(each).__name__} says of a key not where it goes"
        for variable in keys:
            for address in addresses:
                yield KeyUse(variable=variable, host=host_of(address))


def _nested(params: BaseModel) -> Iterator[BaseModel]:
    """Yield params and all that are inside them, at any depth."""
    yield params
    for name, marks, _ in _fields(type(params)):
        for inside in _models(getattr(params, name), marks):
            yield from _nested(inside)


def _marked(params: BaseModel, wanted: Mark) -> list[str]:
    """List the values of the fields with a mark, without null."""
    values = [getattr(params, name) for name, marks, _ in _fields(type(params)) if wanted in marks]
    return [value for value in values if value is not None]


def host_of(address: str) -> str:
    """Return the host of an address, as the user allows it."""
    parts = urlsplit(address)
    host = parts.netloc.lower()
    return host if parts.scheme == "https" else f"{parts.scheme}://{host}"


def _models(value: object, marks: tuple[object, ...]) -> Iterator[BaseModel]:
    """Yield the params inside a value: of a model, of a list of them, or of a chosen entry."""
    if isinstance(value, BaseModel):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _models(item, marks)
    elif isinstance(value, dict):
        for mark in marks:
            if isinstance(mark, Chooses):
                settings = {name: item for name, item in value.items() if name != "name"}
                yield mark.door.find(value["name"]).Params(**settings)


@cache
def _fields(model: type[BaseModel]) -> tuple[tuple[str, tuple[Any, ...], bool], ...]:
    """Return of each field its name, its marks, and whether models may be inside."""
    found = []
    for name, field in model.model_fields.items():
        marks = (*field.metadata, *_marks(field.annotation))
        inner = any(isinstance(part, type) and issubclass(part, BaseModel) for part in marks)
        found.append((name, marks, inner))
    return tuple(found)


def _marks(annotation: object) -> Iterator[object]:
    """Yield everything that an annotation is made of, such as `Annotated[str, mark] | None`."""
    parts = get_args(annotation)
    if not parts:
        yield annotation
    for part in parts:
        yield from _marks(part)
