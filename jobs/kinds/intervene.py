"""Kind `intervene`: behaviour of a model with its activations changed, and the share recovered.

One intervention at several doses, each beside random directions or neurons; weights are untouched.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from cluster.errors import UserError
from cluster.resources import Resources
from jobs.behaviour import asked
from jobs.intervening.intervention import load_intervention
from jobs.kind import Input
from jobs.tokens.position_policy import Policy
from jobs.worker.work import Work

VERSION = 2
INPUTS: Mapping[str, Input] = {
    "base": Input(kinds=frozenset({"pretrained", "pretrain"})),
    "aligned": Input(kinds=frozenset({"align", "adapter", "export", "pretrained", "pretrain"})),
    "prompts": Input(kinds=frozenset({"prompts"})),
    "lexicon": Input(
        kinds=frozenset({"pairs", "generated-pairs"}), required=False, dispensable=True
    ),
    "delta": Input(kinds=frozenset({"extract"}), required=False),
    "toxic": Input(kinds=frozenset({"probe-direction"}), required=False),
}
GATHERS = False
USES_TORCH = True

Metric = Literal["toxic_mass", "toxic_rate", "toxic_score", "perplexity", "token_f1"]
SWEEPS = ("intervention", "dose")
MEASURES = tuple(f"{what}_{name}" for what in ("patched", "recovered") for name in get_args(Metric))
_FEWEST_CONTROLS = 3


class Params(asked.SubjectParams):
    """What is changed, by how much, and what is measured of it."""

    intervention: str = Field(description="Its name: `jobs/intervening/interventions/`.")
    subject: Literal["base", "aligned"] | None = Field(
        None,
        validate_default=True,
        description="The model that is changed; the intervention's own choice if null. The share "
        "recovered is of the way from it to the other.",
    )
    site: Literal["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out"] = Field(
        "resid_post", description="Where in a block a direction is applied."
    )
    depth: float = Field(
        0.75, ge=0, le=1, description="Relative depth of the layer that a direction is applied at."
    )
    direction: Literal["probe", "svd", "value-vector", "mean-offset"] = Field(
        "probe",
        description="What subtract-direction and add-direction take: the probe's direction, the "
        "first SVD direction of the toxic value vectors, the most toxic one, or mean δ.",
    )
    dose_unit: Literal["typical-norm", "absolute"] = Field(
        "typical-norm",
        description="Dose 1 of such a direction: the median norm of the model's activations "
        "there, comparable across sizes; or length 1.",
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
    def _exists(cls, name: str) -> str:
        load_intervention(name, where="intervention")
        return name.replace("_", "-")

    @field_validator("subject")
    @classmethod
    def _whom(cls, subject: Any, known: ValidationInfo) -> Any:
        if subject is None and "intervention" in known.data:
            return load_intervention(known.data["intervention"]).SUBJECT
        return subject

    @field_validator("doses")
    @classmethod
    def _how_much(cls, doses: Any, known: ValidationInfo) -> Any:
        if doses is None:
            chosen = known.data.get("intervention")
            return load_intervention(chosen).DOSES if chosen else doses
        return _checked(doses)

    @field_validator("random_controls")
    @classmethod
    def _enough(cls, number: int) -> int:
        if 0 < number < _FEWEST_CONTROLS:
            raise UserError(
                f"{number} random controls make no band",
                where="random_controls",
                allowed=["0", f"{_FEWEST_CONTROLS} or more"],
            )
        return number

    @property
    def made_of(self) -> str:
        """`neurons`, or what direction it is: `mean-offset`, `probe`, `svd`, `value-vector`."""
        made = load_intervention(self.intervention).MADE
        return self.direction if made == "direction" else made


def _checked(doses: tuple[float, ...]) -> tuple[float, ...]:
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


def uses(params: Params) -> frozenset[str]:
    """Mean offsets come from `delta`, everything else that is acted on from `toxic`."""
    source = "delta" if params.made_of == "mean-offset" else "toxic"
    return params.words_input | {"base", "aligned", "prompts", source}


pins = asked.pins
known_name = asked.known_name
resolve = asked.resolve


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, num_gpus=params.num_gpus, memory_gb=params.memory_gb)


def run(work: Work) -> dict[str, Any]:
    """Write `measurements.parquet`, whose axes `intervention` and `dose` are the job's own."""
    from jobs.intervening.intervening import intervene

    return intervene(work)
