"""Params of the kind `intervene`."""

import math
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from cluster.errors import UserError
from jobs.behaviour.scored_params import LocalModelParams
from jobs.intervening.intervention import INTERVENTIONS, Subject
from jobs.models.family import StreamSite
from jobs.params import Names, added
from jobs.tokens.position_policy import Policy

Metric = Literal[
    "toxic_mass", "toxic_rate", "toxic_score", "perplexity", "window_perplexity", "token_f1"
]
_FEWEST_CONTROLS = 3


class InterveneParams(LocalModelParams):
    """What is changed, by how much, and what is measured of it."""

    intervention: Annotated[str, Names(INTERVENTIONS)] = Field(
        description="Its name: `jobs/intervening/interventions/`."
    )
    subject: Subject | None = Field(
        None,
        validate_default=True,
        description="The model that is changed; the intervention's own choice if null. The share "
        "recovered is of the way from it to the other.",
    )
    site: StreamSite = Field("resid_post", description="Where in a block a direction is applied.")
    depth: float = Field(
        0.75, ge=0, le=1, description="Relative depth of the layer that a direction is applied at."
    )
    direction: Literal["probe", "svd", "value-vector", "mean-offset"] = Field(
        "probe",
        description="What subtract-direction and add-direction take: the probe's direction, the "
        "first SVD direction of the toxic value vectors, the most toxic one, or mean δ.",
    )
    dose_unit: Literal["typical-norm", "absolute", "own-length"] = Field(
        "typical-norm",
        description="Dose 1 of such a direction: the median norm of the model's activations "
        "there, comparable across sizes; length 1; or the direction's own length, as it was "
        "stored (an SVD direction has length 1).",
    )
    edited: Literal["every", "newest"] = added(
        "every",
        "Tokens at which a direction is applied: all; or, while a continuation is decoded, the "
        "newest alone (texts that are read in one pass are changed at every token either way).",
    )
    position: Policy = Field(
        "last", description="Position of the extraction `delta` whose mean offset is used."
    )
    num_vectors: int = Field(
        7, ge=1, description="Most toxic neurons that scale-keys, set-gates, scale-linear act on."
    )
    doses: tuple[float, ...] | None = Field(
        None,
        validate_default=True,
        description="How much; the intervention's own if null. The unchanged model is measured "
        "too, as dose 0.",
    )
    random_controls: int = Field(
        5,
        ge=0,
        description="Random directions of equal length, or sets of as many other neurons of the "
        "same layers, that every dose is held against; 0 for none, else at least 3.",
    )
    seed: int = Field(0, ge=0, description="Decides the random controls.")
    metrics: tuple[Metric, ...] = Field(
        ("toxic_mass", "toxic_rate", "perplexity"),
        min_length=1,
        description="Behaviours, as `behave` measures them.",
    )

    @field_validator("intervention")
    @classmethod
    def _check_name(cls, name: str) -> str:
        INTERVENTIONS.find(name, where="intervention")
        return name.replace("_", "-")

    @field_validator("subject")
    @classmethod
    def _default_subject(cls, subject: Subject | None, others: ValidationInfo) -> Subject | None:
        if subject is None and "intervention" in others.data:
            return INTERVENTIONS.find(others.data["intervention"]).SUBJECT
        return subject

    @field_validator("doses")
    @classmethod
    def _default_doses(
        cls, doses: tuple[float, ...] | None, others: ValidationInfo
    ) -> tuple[float, ...] | None:
        if doses is None:
            name = others.data.get("intervention")
            return INTERVENTIONS.find(name).DOSES if name else None
        return _check_doses(doses)

    @field_validator("random_controls")
    @classmethod
    def _check_controls(cls, number: int) -> int:
        if 0 < number < _FEWEST_CONTROLS:
            raise UserError(
                f"{number} random controls make no band",
                where="random_controls",
                allowed=["0", f"{_FEWEST_CONTROLS} or more"],
            )
        return number

    @property
    def num_passes(self) -> int:
        """Times that all prompts are read: by both models as they are, then for every dose."""
        return 2 + len(self.doses or ()) * (1 + self.random_controls)

    @property
    def made_of(self) -> str:
        """`neurons`, or what direction it is, such as `probe`, `mean-offset` or a part of it."""
        made = INTERVENTIONS.find(self.intervention).MADE
        return self.direction if made == "direction" else made


def _check_doses(doses: tuple[float, ...]) -> tuple[float, ...]:
    for dose in doses:
        if dose == 0 or not math.isfinite(dose):
            raise UserError(
                f"{dose:g} is no dose",
                where="doses",
                hint="the unchanged model is always measured, as dose 0",
            )
    named = [f"{dose:g}" for dose in doses]
    if len(set(named)) < max(1, len(named)):
        raise UserError("doses must be at least one, and differ in 6 digits", where="doses")
    return doses
