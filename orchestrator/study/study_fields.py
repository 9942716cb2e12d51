"""The fields of a study file and the type of each, as pydantic models.

Shorthands (one name for a list of one, a stage's name for an input) are written out here. What the
fields mean, and whether the names in them exist, is checked in `study.py`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema


class Fields(BaseModel):
    """Parent of the models: frozen, strict, and a wrong name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _as_input(value: object) -> object:
    return {"stage": value} if isinstance(value, str) else value


def _null_as_empty(value: object) -> object:
    return {} if value is None else value


def _check_scalar(value: object) -> object:
    if isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError("must be one text, one number, true or false")


Scalar = Annotated[
    Any, BeforeValidator(_check_scalar), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
"""A value that can be written inside a cell's name."""
Names = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
Values = Annotated[
    list[Scalar], BeforeValidator(_as_list, json_schema_input_type=Scalar | list[Scalar])
]
Pick = dict[str, Values]
Picks = Annotated[list[Pick], BeforeValidator(_as_list, json_schema_input_type=Pick | list[Pick])]


AxisValues = Annotated[
    list[Any],
    WithJsonSchema(
        {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": ["string", "number", "boolean", "object"],
                "required": ["name"],
                "properties": {"name": {"type": ["string", "number", "boolean"]}},
            },
        }
    ),
]


class InputFields(Fields):
    """An input with a pin; without one the stage's name is enough."""

    stage: str = Field(description="Stage whose jobs are taken.")
    where: dict[str, Scalar] = Field(
        {}, description="Pins axes of that stage: axis -> value; pinned axes are not inherited."
    )


InputEntry = Annotated[
    InputFields, BeforeValidator(_as_input, json_schema_input_type=str | InputFields)
]


class StageFields(Fields):
    """One stage: a kind of job over cells of the grid."""

    kind: str = Field(description="Kind of job.")
    over: Names = Field([], description="Axes this stage adds to those of its inputs.")
    inputs: Annotated[dict[str, InputEntry], BeforeValidator(_null_as_empty)] = Field(
        {}, description="Input name -> stage, or {stage, where}."
    )
    gather: Names = Field([], description="Stages of which all jobs are taken.")
    per: Names = Field([], description="One gathering job per value of these axes; [] = one job.")
    where: Picks = Field(
        [], description="Keeps the cells that match this mapping, or any of a list of mappings."
    )
    keep: Literal["always", "until-read"] = Field(
        "always",
        description="until-read: large files of its jobs are deleted once every job that reads "
        "them is done, and made again when something asks for them. Never part of a key.",
    )
    params: Annotated[dict[str, Any], BeforeValidator(_null_as_empty)] = Field(
        {}, description="Params of the kind; ${axis} and ${axis.field} stand for values."
    )


class StudyFields(Fields):
    """A question asked over a grid: named axes and stages."""

    study: str = Field(description="Name of the study, and of its folder under the root.")
    entries: str | None = Field(
        None,
        min_length=1,
        description="Folder of the study's own metrics, objectives, formats, kinds, …: code that "
        "runs with the rights of whoever plans the study. Relative to the study file.",
    )
    data: dict[str, str] = Field(
        {},
        description="Path below ${DELTASCALE_DATA}, or as params write it (a folder: all in it) "
        "-> where it is to be had, or what does without; told where it is not here.",
    )
    axes: Annotated[dict[str, AxisValues], BeforeValidator(_null_as_empty)] = Field(
        {}, description="Axis -> values; a value is a scalar, or a mapping with a name."
    )
    stages: dict[str, StageFields] = Field(description="Stage name -> stage.", min_length=1)
