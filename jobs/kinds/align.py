"""Kind `align`: a model trained towards preferences with TRL, from pairs and reference scores."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from cluster.errors import UserError
from cluster.resources import Resources
from jobs import lookup
from jobs.kind import Input, execution
from jobs.objective import needs_whole_batch
from jobs.training.objective_settings import settings_of
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
    beta: float | None = Field(
        None,
        gt=0,
        description="Strength of the tie to the reference. Null: 0.1, in objectives that have it.",
    )
    label_smoothing: float | None = Field(
        None,
        ge=0,
        lt=0.5,
        description="Share of labels held to be wrong. Null: 0.1 for robust, 0.001 for exo-pair, "
        "0 for aot and aot-unpaired.",
    )
    discopop_tau: float | None = Field(
        None,
        gt=0,
        description="Width of the blend of both halves of discopop. Null: 0.05.",
    )
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
        self.settings()
        whole = needs_whole_batch(lookup.find("objectives", self.objective))
        if whole and self.micro_batch not in (None, self.global_batch):
            raise UserError(
                f"objective {self.objective!r} sorts the pairs of a forward pass: it needs the "
                f"global batch of {self.global_batch} in one, not {self.micro_batch}",
                where="micro_batch",
                allowed=[str(self.global_batch)],
            )
        if self.steps is not None and self.epochs is not None:
            raise UserError("give steps or epochs, not both", where="steps")
        return self

    @model_serializer(mode="wrap")
    def _written_out(self, plainly: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Settings with their defaults, and none that the objective does not have."""
        written = plainly(self)
        return {name: written[name] for name in written if name not in _SETTINGS} | self.settings()

    def settings(self) -> dict[str, float]:
        """The objective's hyper-parameters, defaults written out."""
        given = {name: getattr(self, name) for name in _SETTINGS}
        return dict(settings_of(self.objective, given))


_SETTINGS = ("beta", "label_smoothing", "discopop_tau")
"""The params that an objective may have or lack."""


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
