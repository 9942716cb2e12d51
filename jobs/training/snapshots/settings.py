"""`Snapshots`: the params that say at which points of a training run its model is kept, by label.

Importing this imports no heavy library: planning asks for the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cluster.errors import UserError, unknown_name
from jobs.params import added

END = "end"
"""Label of the model that training leaves."""
REHEARSED = 1
"""The step that stands for every snapshot in a rehearsal, whose runs are of few steps."""
PARAM = "params.snapshot"
"""Where a study names a label."""
MOST_TOKENS = 512
"""Tokens along which a divergence is taken, of all pairs together: of each, the start's
log-probabilities of the whole vocabulary are in host memory (0.1 GB for 50,000 entries)."""
Step = Annotated[int, Field(ge=1)]
Threshold = Annotated[float, Field(gt=0)]


class Snapshots(BaseModel):
    """Keep the model after these steps, or once it has moved so far from the start."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: tuple[Step, ...] | None = Field(
        None, min_length=1, description="Optimizer steps after which the model is kept."
    )
    margin: tuple[Threshold, ...] | None = Field(
        None,
        min_length=1,
        description="Kept at the first look at which the mean over validation pairs of the "
        "log-ratio to the start, chosen minus rejected, is at least this many nats.",
    )
    kl: tuple[Threshold, ...] | None = Field(
        None,
        min_length=1,
        description="Kept at the first look at which the divergence from the start along chosen "
        "validation answers is at least this many nats per token.",
    )
    every: int = added(20, "Steps between looks at margin and divergence.", ge=1)
    pairs: int | None = added(
        None, "Validation pairs that a look scores, the first ones. Null: a global batch.", ge=1
    )

    @field_validator("steps", "margin", "kl")
    @classmethod
    def _in_order(cls, values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        """Sort the values, so that their order in the study is no part of what is asked for."""
        if values is None:
            return None
        for one, next_one in pairwise(ordered := tuple(sorted(values))):
            if one == next_one:
                raise UserError(f"{one:g} is given twice", where="snapshots")
        return ordered

    @model_validator(mode="after")
    def _asks_for_something(self) -> Snapshots:
        if self.steps is None and not self.looks:
            raise UserError(
                "snapshots says neither at which steps nor at which margin or divergence",
                where="snapshots",
                allowed=["steps", "margin", "kl"],
            )
        return self

    @property
    def looks(self) -> bool:
        """True when training has to look how far the model has moved."""
        return self.margin is not None or self.kl is not None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the models that are kept, without `end`."""
        return (
            *(step_label(step) for step in self.steps or ()),
            *(threshold_label("margin", value) for value in self.margin or ()),
            *(threshold_label("kl", value) for value in self.kl or ()),
        )


def step_label(step: int) -> str:
    """Return the name of the model after a step."""
    return f"step-{step}"


def threshold_label(measure: str, value: float) -> str:
    """Return the name of the first model at which `margin` or `kl` has reached a value."""
    short = f"{value:g}"
    return f"{measure}-{short if float(short) == value else repr(float(value))}"


def check_is_label(value: object) -> object:
    """Return a label. Raises ValueError for a number, which does not say of what it is."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        step = f"; did you mean {step_label(value)!r}?" if isinstance(value, int) else ""
        raise ValueError(f"write a label, such as step-10, kl-0.1 or end; {value!r} is none{step}")
    return value


def labels_of(align_params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels of all models that an `align` job with these params keeps, `end` last."""
    written = align_params.get("snapshots")
    return (*(Snapshots(**written).labels if written else ()), END)


def require_label(label: str, align_params: Mapping[str, Any]) -> None:
    """Raise UserError, with what there is and what is nearest, where none has this label."""
    labels = labels_of(align_params)
    if label in labels:
        return
    if labels == (END,):
        raise UserError(
            f"training keeps no snapshot {label!r}: its params have no `snapshots`",
            where=PARAM,
            allowed=[END],
            hint=f"give the stage of kind `align` the params `{_asking_for(label)}`",
        )
    raise unknown_name("label of a snapshot", label, labels, where=PARAM)


def _asking_for(label: str) -> str:
    """Return the params of `align` that would keep a model of this label."""
    measure, _, value = label.partition("-")
    name = {"step": "steps"}.get(measure, measure)
    known = name in Snapshots.model_fields and value
    return f"snapshots: {{{name if known else 'steps'}: [{value if known else 10}]}}"
