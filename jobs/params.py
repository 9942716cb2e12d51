"""`Params` of a kind of job, and how each is declared: what it names, and whether it decides.

A param decides what a job is unless it says otherwise, so it is part of the job's key: the planner
asks here for the part that decides (`deciding_params`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from jobs.door import Door

Item = TypeVar("Item")


class Params(BaseModel):
    """Parent of every kind's params: frozen, and a wrong name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_for_a_number(cls, value: Any, of: ValidationInfo) -> Any:
        """Refuse true and false where a number is wanted: pydantic would take them for 1 and 0."""
        given = value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(item, bool) for item in given) and of.field_name is not None:
            wanted = list(_types_in(cls.model_fields[of.field_name].annotation))
            is_number = any(each in (int, float) for each in wanted)
            if is_number and not any(each in (bool, Any) for each in wanted):
                raise ValueError("must be a number, not true or false")
        return value


def each_once(values: Item) -> Item:
    """Return a tuple without repeats, anything else as it is: two spellings of one work."""
    return type(values)(dict.fromkeys(values)) if isinstance(values, tuple) else values


def execution(default: Any, description: str, **limits: Any) -> Any:
    """Declare a param that says how work is done and never what it is: no part of the key."""
    return Field(default, description=description, json_schema_extra={"execution": True}, **limits)


def added(default: Any, description: str, **limits: Any) -> Any:
    """Declare a param that a later version added, at a default that means what was done before.

    While it has its default it stays out of the key, so that nothing is computed again. Settings
    inside a param (of an adapter, of a scorer) are declared in the same way, as execution ones are.
    """
    return Field(default, description=description, json_schema_extra={"added": True}, **limits)


def data_path(default: Any, description: str, *, is_added: bool = False, **limits: Any) -> Any:
    """Declare a param that names a file or folder: the key holds its digest, not its path.

    Relative paths resolve against the study file before the job is made. `is_added`: as `added`.
    """
    marks: dict[str, Any] = {"path": True, **({"added": True} if is_added else {})}
    return Field(default, description=description, json_schema_extra=marks, **limits)


def model_source(default: Any, description: str, **limits: Any) -> Any:
    """Declare a param that names a model: `hf://org/name`, or a folder that the pins digest.

    A relative folder resolves against the study file. A folder does not enter the key (its pin
    stands for it); an `hf://` source does, beside the pin of its revision. Of a param that
    `Chooses` an entry with its settings, that entry's own marks count.
    """
    return Field(
        default, description=description, json_schema_extra={"model_source": True}, **limits
    )


class HasSettings(Protocol):
    """An entry that a param can choose together with settings."""

    @property
    def Params(self) -> type[BaseModel]:
        """Its settings."""


@dataclass(frozen=True)
class Names:
    """Mark, inside `Annotated`, of a param that names entries: one, or a list of them."""

    door: Door[Any]
    """Where the entries are."""
    joined_by: str | None = None
    """What stands between several names in one text; None where a text is one name."""
    under: str | None = None
    """Where the param is a mapping: its key whose value is the name."""

    def names_in(self, value: Any) -> Iterator[str]:
        """Yield the names in the value of such a param."""
        if isinstance(value, str):
            yield from value.split(self.joined_by) if self.joined_by else (value,)
        elif isinstance(value, Mapping):
            yield from self.names_in(value.get(self.under))
        elif isinstance(value, Sequence):
            for item in value:
                yield from self.names_in(item)


@dataclass(frozen=True)
class Chooses(Names):
    """Mark of a param that names an entry or is `{name: …, setting: …}`: it has settings."""

    under: str | None = "name"


def execution_names(params: type[Params]) -> frozenset[str]:
    """Return the names of the params that are execution."""
    return frozenset(marked(params, "execution"))


def marked(params: type[BaseModel], mark: str) -> tuple[str, ...]:
    """List the params whose declaration has a mark, such as `path`."""
    return tuple(name for name, declared in params.model_fields.items() if _has(declared, mark))


def _has(declared: FieldInfo, mark: str) -> bool:
    extra = declared.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get(mark))


def entries_named(params: BaseModel) -> Iterator[tuple[str, str]]:
    """Yield what params name, at any depth, that is marked: package of the door, name of the entry.

    A param is marked with `Names`.
    """
    for field, declared in type(params).model_fields.items():
        value = getattr(params, field, None)
        for mark in (*declared.metadata, *_marks_in(declared.annotation)):
            if isinstance(mark, Names):
                yield from ((mark.door.package, name) for name in mark.names_in(value))
        for inner in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(inner, BaseModel):
                yield from entries_named(inner)


def _marks_in(annotation: object) -> Iterator[object]:
    """Yield the marks inside an annotation, such as of `tuple[Annotated[str, mark], ...]`."""
    yield from getattr(annotation, "__metadata__", ())
    for part in get_args(annotation):
        yield from _marks_in(part)


def deciding_params(params: type[BaseModel], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of written-out params, at any depth, that decides what a job is.

    Left out are those that are execution, and `added` ones that have their default.

    Args:
        params: the class that the params are of.
        written: params as JSON.
    """
    kept = {}
    for name, value in written.items():
        declared = params.model_fields.get(name)
        if declared is None:
            kept[name] = value
        elif not (_has(declared, "execution") or _is_as_before(declared, value)):
            kept[name] = _deciding_inside(declared.annotation, value)
    return kept


def _is_as_before(declared: FieldInfo, value: Any) -> bool:
    if not _has(declared, "added"):
        return False
    return bool(value == to_jsonable_python(declared.get_default(call_default_factory=True)))


def _deciding_inside(annotation: object, value: Any) -> Any:
    if isinstance(value, list):
        return [_deciding_inside(annotation, item) for item in value]
    if isinstance(value, dict):
        for model in _models_in(annotation):
            if value.keys() <= model.model_fields.keys():
                return deciding_params(model, value)
    return value


def _types_in(annotation: object) -> Iterator[object]:
    """Yield the types that an annotation is made of."""
    parts = get_args(annotation) if get_origin(annotation) is not Literal else ()
    yield annotation
    for part in parts:
        yield from _types_in(part)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
