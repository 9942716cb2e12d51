"""Kind `align`: a model trained towards preferences with TRL, from pairs and reference scores."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from cluster.errors import UserError
from cluster.resources import Resources
from jobs import lookup
from jobs.kind import Input, execution
from jobs.training.params import TrainingParams
from jobs.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {
    "model": Input(kinds=frozenset({"pretrained", "pretrain", "align", "adapter"})),
    "pairs": Input(kinds=frozenset({"pairs"})),
    "reference": Input(kinds=frozenset({"reference"}), required=False),
}
GATHERS = False
USES_TORCH = True


class Params(TrainingParams):
    """What to train towards, and how."""

    objective: str = Field("dpo", description="Loss: a file of `jobs/objectives/`.")
    beta: float = Field(0.1, gt=0, description="Strength of the tie to the reference.")
    steps: int | None = Field(None, ge=1, description="Optimizer steps; null: by epochs.")
    epochs: float | None = Field(
        None, gt=0, description="Passes over the training pairs; 1 when steps are null too."
    )
    max_length: int | None = Field(
        None,
        ge=2,
        description="Longest prompt with completion, in tokens; longer ones are cut. "
        "Null: the model's positions.",
    )
    validate_every: int | None = execution(
        None, "Steps between validations; the end is always validated.", ge=1
    )

    @model_validator(mode="after")
    def _check(self) -> "Params":
        lookup.find("objectives", self.objective, where="objective")
        if self.steps is not None and self.epochs is not None:
            raise UserError("give steps or epochs, not both", where="steps")
        return self


def uses(params: Params) -> frozenset[str]:
    """The reference only where the objective does."""
    needed = lookup.find("objectives", params.objective).USES_REFERENCE
    return frozenset(INPUTS) if needed else frozenset(INPUTS) - {"reference"}


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It reads nothing from outside."""
    return {}


def resources(params: Params) -> Resources:
    """As the params say."""
    return params.resources()


def run(work: Work) -> dict[str, Any]:
    """Train, write `model/` and `training_log.jsonl`."""
    from jobs.training.alignment import align

    return align(work)
