"""The shape of a study file: which fields there are and what type each has.

Shorthands (one name for a list of one, a stage's name for an input) are written out here. What the
fields mean, and whether the names in them exist, is `study.py`'s business.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema


class Shape(BaseModel):
    """Parent of all shapes: frozen, strict, and a wrong name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _written_out(value: Any) -> Any:
    return {"stage": value} if isinstance(value, str) else value


def _nothing_is_empty(value: Any) -> Any:
    return {} if value is None else value


def _scalar(value: Any) -> Any:
    if isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError("one text, number, true or false is needed here")


Scalar = Annotated[
    Any, BeforeValidator(_scalar), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
"""A value that can be written inside a cell's name."""
Names = Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
Values = Annotated[
    list[Scalar], BeforeValidator(_listed, json_schema_input_type=Scalar | list[Scalar])
]
Pick = dict[str, Values]
Picks = Annotated[list[Pick], BeforeValidator(_listed, json_schema_input_type=Pick | list[Pick])]


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


class InputShape(Shape):
    """An input with a pin; without one the stage's name is enough."""

    stage: str = Field(description="Stage whose jobs are taken.")
    where: dict[str, Scalar] = Field(
        {}, description="Pins axes of that stage: axis -> value; pinned axes are not inherited."
    )


InputEntry = Annotated[
    InputShape, BeforeValidator(_written_out, json_schema_input_type=str | InputShape)
]


class StageShape(Shape):
    """One stage: a kind of job over cells of the grid."""

    kind: str = Field(description="Kind of job.")
    over: Names = Field([], description="Axes this stage adds to those of its inputs.")
    inputs: Annotated[dict[str, InputEntry], BeforeValidator(_nothing_is_empty)] = Field(
        {}, description="Input name -> stage, or {stage, where}."
    )
    gather: Names = Field([], description="Stages of which all jobs are taken.")
    per: Names = Field([], description="One gathering job per value of these axes; [] = one job.")
    where: Picks = Field(
        [], description="Keeps the cells that match this mapping, or any of a list of mappings."
    )
    params: Annotated[dict[str, Any], BeforeValidator(_nothing_is_empty)] = Field(
        {}, description="Params of the kind; ${axis} and ${axis.field} stand for values."
    )


class StudyShape(Shape):
    """A question asked over a grid: named axes and stages."""

    study: str = Field(description="Name of the study, and of its folder under the root.")
    axes: Annotated[dict[str, AxisValues], BeforeValidator(_nothing_is_empty)] = Field(
        {}, description="Axis -> values; a value is a scalar, or a mapping with a name."
    )
    stages: dict[str, StageShape] = Field(description="Stage name -> stage.", min_length=1)
