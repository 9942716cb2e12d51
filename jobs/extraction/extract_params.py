"""Params and VERSION of kind `extract`: sites, layers, positions, and precision."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from cluster.errors import UserError
from jobs.models.family import Site
from jobs.params import each_once, execution
from jobs.shared_params import PairParams
from jobs.tokens.position_policy import Policy

VERSION = 4


class Params(PairParams):
    """Sites, layers and positions to read, and how precisely."""

    sites: tuple[Site, ...] = Field(
        ("resid_mid", "resid_post"),
        min_length=1,
        description="Where in a block to read. A site that a family lacks is reported as such.",
    )
    depths: tuple[float, ...] = Field(
        (0.25, 0.5, 0.75, 1.0),
        description="Relative depths of the layers, 0 to 1: layer floor(f (L - 1) + 1/2).",
    )
    layers: Literal["all"] | tuple[int, ...] | None = Field(
        None, description="Layers from 0, or `all`, instead of depths."
    )
    positions: tuple[Policy, ...] | None = Field(
        None, description="Which tokens give rows; those the prompts list, else last and response."
    )
    moments_positions: tuple[Policy, ...] = Field(
        ("last", "response"),
        description="Positions with d x d moments; others only where no group has d rows.",
    )
    num_reservoir: int = Field(
        2048,
        ge=0,
        description="Rows stored of each site, layer and position, with the base's own rows.",
    )
    full_rows: tuple[Policy, ...] = Field(
        (), description="Positions whose rows are all stored, beside those that have few."
    )
    rows: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="How rows are stored; δ itself is formed in float32, and few rows stay so.",
    )
    attention: Literal["sdpa", "eager", "flash_attention_2"] = Field(
        "sdpa", description="Attention kernel; flash_attention_2 where it is installed."
    )
    noise_floor_prompts: int = Field(
        32, ge=0, description="Prompts for the noise floor, base against base; 0 measures none."
    )
    unit_tokens: int = execution(
        65536, "Most tokens in a unit, the part that is stored and retried.", ge=1
    )
    pairing: Literal["auto", "adapter", "resident", "sequential"] = execution(
        "auto",
        "How both models are held: one with its adapter on and off, both in memory, or one after "
        "the other with the base's rows on disk. auto: whatever fits, and is cheapest.",
    )
    spool_gb: float = execution(
        50, "Most disk for the base's rows, in 10^9 bytes, when models take turns.", gt=0
    )
    budget_gb: float = execution(
        200, "Refuse a store that may become larger than this, in 10^9 bytes.", gt=0
    )
    workers: int = execution(1, "Most workers that share the units of one extraction.", ge=1)

    @field_validator(
        "sites", "depths", "layers", "positions", "moments_positions", "full_rows", mode="after"
    )
    @classmethod
    def _each_once(cls, values: object) -> object:
        return each_once(values)

    @model_validator(mode="after")
    def _check(self) -> "Params":
        for depth in self.depths:
            if not 0 <= depth <= 1:
                raise UserError(f"the depth {depth} is not between 0 and 1", where="depths")
        if self.layers is None and not self.depths:
            raise UserError("no layers: give depths or layers", where="depths")
        return self
