"""`Measurement`: one number with its interval and controls, or the reason why it is missing.

A field is declared here and nowhere else. The columns of the long table, the JSON Schemas, the
table formats, the controls beside a value, the page and the trace are made from the declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Annotated, cast, get_args, get_type_hints

from analysis.status import Status

Scalar = str | int | float | bool | None
"""One entry of the long table; None is missing."""
LeftOut = tuple[float | None, ...]
"""A number without each prompt group, by the group's number; missing where no row is of the group.

The group of a prompt is the same for every model, transform and turn, so that entries of one place
left out the same prompts.
"""
Range = tuple[float | None, float | None]
"""The least and the largest that a value can be; None where it has no such end."""
NUM_GROUPS = 20
"""Prompt groups of a study."""
Row = dict[str, Scalar]
"""One line of the long table: column -> entry, the study's axes included.

Of all columns `left_out` alone holds no single number or word; `left_out_of` reads it.
"""


def label_of(value: Scalar) -> str:
    """Return an axis value as cells, headers and keys name it; equal numbers have one label."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def label_at(row: Mapping[str, Scalar], column: str) -> str | None:
    """Return the label of a row's entry in a column; None where it is missing or there is none."""
    value = row.get(column)
    return None if value is None else label_of(value)


def left_out_of(row: Mapping[str, Scalar]) -> LeftOut | None:
    """Return a row's number without each prompt group; None where that was not kept."""
    return cast("LeftOut | None", row.get("left_out"))


class Role(Enum):
    """What a field of a measurement is for."""

    MODEL = auto()
    """Identifies the model."""
    SIZE = auto()
    """A size that follows from the model."""
    QUANTITY = auto()
    """Identifies what was measured."""
    PLACE = auto()
    """Identifies where in the model; missing for behaviour."""
    ESTIMATE = auto()
    """The number and its interval."""
    CONTROL = auto()
    """A number that the value is held against."""
    COUNT = auto()
    """A count behind the value, or how much of what was to be counted it holds."""
    ACCOUNT = auto()
    """Whether to trust the value, or why there is none."""
    JOB = auto()
    """The job that measured it."""
    LEFT_OUT = auto()
    """The number without each prompt group, for fits over sizes."""


class End(Enum):
    """Which end of a range a field gives."""

    LOW = auto()
    HIGH = auto()


@dataclass(frozen=True)
class Column:
    """The declaration of one field of `Measurement`."""

    role: Role
    """What the field is for."""
    about: str
    """One phrase for the JSON Schema, with its unit where it has one."""
    end: End | None = None
    """Which end of `part` the field gives; None: all of it."""
    part: str | None = None
    """Heading under which a table sets the field beside the value; two ends share one."""
    in_tables: bool = False
    """Whether a cell of a comparison table gives the field."""


@dataclass(frozen=True, kw_only=True)
class Field(Column):
    """A declared field with its name and type."""

    name: str
    """Name of the attribute and of the long table's column."""
    type: type
    """Type of the entry when it is not missing."""


_interval = partial(Column, Role.ESTIMATE, part="95 % interval", in_tables=True)
_random_band = partial(Column, Role.CONTROL, part="random band", in_tables=True)
_base_band = partial(Column, Role.CONTROL, part="base band", in_tables=True)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One number at one site, layer, position and condition, or why there is none."""

    model: Annotated[str | None, Column(Role.MODEL, "name of the model")] = None
    family: Annotated[str | None, Column(Role.MODEL, "architecture")] = None
    num_parameters: Annotated[
        int | None, Column(Role.MODEL, "counted parameters, embeddings included")
    ] = None
    num_parameters_non_embedding: Annotated[
        int | None, Column(Role.SIZE, "counted parameters without embeddings")
    ] = None
    d_model: Annotated[int | None, Column(Role.SIZE, "width of the residual stream")] = None
    num_layers: Annotated[int | None, Column(Role.SIZE, "blocks of the model")] = None
    metric: Annotated[
        str, Column(Role.QUANTITY, "what was measured; one metric file may report several")
    ]
    definition: Annotated[str, Column(Role.QUANTITY, "which of a metric's written definitions")]
    compared_by: Annotated[
        str | None,
        Column(Role.QUANTITY, "stage that compared two conditions, or of one of a cell's numbers"),
    ] = None
    site: Annotated[
        str | None, Column(Role.PLACE, "site of the activations; none for behaviour")
    ] = None
    layer: Annotated[int | None, Column(Role.PLACE, "block, from 0")] = None
    depth: Annotated[float | None, Column(Role.PLACE, "layer / (num_layers - 1), 0 to 1")] = None
    position: Annotated[str | None, Column(Role.PLACE, "position policy: which tokens")] = None
    centred: Annotated[
        bool | None,
        Column(
            Role.PLACE, "whether the rows' own mean was taken off; none where that does not arise"
        ),
    ] = None
    value: Annotated[
        float | None,
        Column(
            Role.ESTIMATE,
            "the number, in the metric's unit; also without an interval",
            part="value",
            in_tables=True,
        ),
    ] = None
    low: Annotated[
        float | None,
        _interval("lower end of the 95 % interval, over prompt groups or seeds", End.LOW),
    ] = None
    high: Annotated[float | None, _interval("upper end of the 95 % interval", End.HIGH)] = None
    floor: Annotated[
        float | None,
        Column(
            Role.CONTROL,
            "the same metric of the base model against itself",
            part="noise floor",
            in_tables=True,
        ),
    ] = None
    null_low: Annotated[
        float | None,
        _random_band(
            "lower end of the 95 % band of random directions or subspaces at the same width",
            End.LOW,
        ),
    ] = None
    null_high: Annotated[
        float | None,
        _random_band("upper end of the band of random directions or subspaces", End.HIGH),
    ] = None
    base_null_low: Annotated[
        float | None,
        _base_band(
            "lower end of the 95 % band that the base activations' own covariance gives", End.LOW
        ),
    ] = None
    base_null_high: Annotated[
        float | None,
        _base_band("upper end of that band: anisotropy alone reaches so far", End.HIGH),
    ] = None
    num_rows: Annotated[int | None, Column(Role.COUNT, "rows that entered")] = None
    num_groups: Annotated[int | None, Column(Role.COUNT, "prompt groups that entered")] = None
    coverage: Annotated[
        float | None,
        Column(
            Role.COUNT,
            "share of the words (plain, and transformed where they differ) that are counted; none "
            "where no words are",
        ),
    ] = None
    uncounted: Annotated[
        float | None,
        Column(
            Role.COUNT,
            "most by which the value is too low, because counting was stopped; in its unit",
        ),
    ] = None
    num_seeds: Annotated[
        int | None, Column(Role.COUNT, "seeds behind the value", in_tables=True)
    ] = None
    status: Annotated[
        Status, Column(Role.ACCOUNT, "whether the number may be trusted", in_tables=True)
    ] = Status.OK
    reason: Annotated[
        str | None,
        Column(Role.ACCOUNT, "the status in the case at hand, one sentence", in_tables=True),
    ] = None
    key: Annotated[
        str | None, Column(Role.JOB, "the job that measured it; of several, by spaces")
    ] = None
    left_out: Annotated[
        LeftOut | None,
        Column(
            Role.LEFT_OUT,
            "the value without each prompt group, by the group's number; none in a list: the group "
            "has no rows",
        ),
    ] = None
    axes: Mapping[str, Scalar] = field(default_factory=dict)
    """Axis column -> value: those that a job swept itself, in a whole study all axes."""

    @classmethod
    def from_row(cls, row: Mapping[str, Scalar]) -> Measurement:
        """Read a line of the long table; columns that are no field are axes."""
        fields = {name: row[name] for name in FIELDS if name in row}
        fields["status"] = Status(str(row["status"]))
        axes = {name: value for name, value in row.items() if name not in FIELDS}
        return cls(**fields, axes=axes)  # type: ignore[arg-type]  # the columns have these types

    def as_row(self) -> Row:
        """Return the line of the long table, axes first."""
        row: Row = {**self.axes, **{name: getattr(self, name) for name in FIELDS}}
        return row | {"status": self.status.value}

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the jobs behind the number."""
        return tuple((self.key or "").split())

    @property
    def below_floor(self) -> bool:
        """Whether the base model against itself gives as large a number."""
        return self.status is Status.BELOW_NOISE_FLOOR


def declared_fields() -> dict[str, Field]:
    """Return every field of `Measurement` by name, in the order of the long table's columns."""
    fields: dict[str, Field] = {}
    for name, hint in get_type_hints(Measurement, include_extras=True).items():
        if not hasattr(hint, "__metadata__"):
            continue
        annotated, column = get_args(hint)
        (kind,) = [part for part in get_args(annotated) or (annotated,) if part is not type(None)]
        fields[name] = Field(name=name, type=kind, **vars(column))
    return fields


FIELDS = declared_fields()
"""Name -> declaration of every field, in the order of the long table's columns."""


def with_role(*roles: Role) -> tuple[str, ...]:
    """Return the names of the fields with one of these roles, in the order of columns."""
    return tuple(name for name, declared in FIELDS.items() if declared.role in roles)


CONTROLS = with_role(Role.CONTROL)
"""Numbers that a value is held against."""
NUMBERS = with_role(Role.ESTIMATE, Role.CONTROL)
"""The value, its interval and its controls: finite where they are not missing."""
IDENTITY = tuple(
    dict.fromkeys(("family", "num_parameters", *with_role(Role.MODEL, Role.QUANTITY, Role.PLACE)))
)
"""Fields that say what a number is, in the order in which rows are sorted: models by size."""
PARTS = {
    part: tuple(name for name, declared in FIELDS.items() if declared.part == part)
    for part in dict.fromkeys(declared.part for declared in FIELDS.values() if declared.part)
}
"""Heading -> the field, or the two ends, that a table sets under it beside the value."""
