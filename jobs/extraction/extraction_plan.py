"""`ExtractionPlan`: what a paired extraction reads and stores, decided before models are loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.long_table.depth import layer_at
from cluster.errors import UserError
from jobs.artifacts.artifact import Artifact, digest_bytes
from jobs.extraction.extract_params import Params
from jobs.extraction.paired_inputs import (
    build_shared_plan,
    find_chat_template,
    require_common_model,
)
from jobs.extraction.unit_rows import StoredParts
from jobs.models.family import NEURON_SITES, Missing, family_of_config
from jobs.models.folder import read_config
from jobs.models.loading import load_tokenizer
from jobs.models.model_facts import Dtype, ModelFacts, compute_dtype
from jobs.models.opened_model import adapter_on
from jobs.taps.taps import Place
from jobs.tokens.left_fill import fill_left
from jobs.tokens.plan import LeftOut, TokenPlan
from jobs.tokens.position_policy import DEFAULT, Policy, expanded
from jobs.tokens.positions import Position, find_positions
from jobs.worker.work import Work


@dataclass(frozen=True, kw_only=True, eq=False)
class ExtractionPlan:
    """What one paired extraction reads and stores."""

    params: Params
    """Params of the job."""
    model: ModelFacts
    """Facts of the base model."""
    tokens: TokenPlan
    """The tokens that both models see."""
    left_out: LeftOut
    """Ids of prompts left out for their length, and those that are refused."""
    policies: Sequence[str]
    """Position policies of the params, or else of the prompts."""
    positions: Sequence[Position]
    """Positions of the policies that have rows."""
    layers: Sequence[int]
    """Layers, ascending."""
    missing: Mapping[str, str]
    """Site -> why the family does not have it."""
    places: Sequence[Place]
    """Sites that exist, at every layer."""
    template_digest: str | None
    """xxh3-64 of the chat template; None without one."""
    d_mlp: int
    """Neurons of a block."""
    rounds_weights: bool
    """True where the aligned model's own weights are rounded to 16 bits; an adapter's are not."""

    @property
    def dtype(self) -> Dtype:
        """Compute dtype of both models."""
        return compute_dtype(self.params.dtype, self.model["num_parameters"])

    def width(self, place: Place) -> int:
        """Return the width of the rows at a place."""
        return self.d_mlp if place[0] in NEURON_SITES else int(self.model["d_model"])

    @property
    def stored(self) -> StoredParts:
        """Parts of each position that are stored: rows while fewer than d, else moments."""
        few = {
            position.label
            for position in self.positions
            if position.largest_group < self.model["d_model"]
        }
        many = [position for position in self.positions if position.label not in few]
        params = self.params
        return StoredParts(
            dense=frozenset(
                p.label for p in many if p.policy in expanded(params.moments_positions)
            ),
            rowwise=frozenset(few),
            full=frozenset(p.label for p in many if p.policy in expanded(params.full_rows)),
            rows=params.rows,
        )


def plan_extraction(work: Work[Params]) -> ExtractionPlan:
    """Decide tokens, rows, layers and sites; raise UserError where params and inputs do not fit."""
    params = work.params
    base, aligned, prompts = (work.input(name) for name in ("base", "aligned", "prompts"))
    model = require_common_model(base, aligned)
    config = read_config(base.path("model/config.json").parent)
    family = family_of_config(config)
    shape = family.shape(config)
    longest = min(shape.max_positions, params.max_length or shape.max_positions)
    tokens, left_out = build_shared_plan(
        base, aligned, prompts, longest, params.template, cut=params
    )
    policies = params.positions or prompts.facts.get("positions") or DEFAULT
    if "legacy" in policies:
        tokens = _fill_left(tokens, policies, base, longest)
    positions = find_positions(tokens, policies, params.num_reservoir)
    if not positions:
        raise UserError(
            f"no prompt has a token at {' or '.join(policies)}",
            where=prompts.folder,
            hint="turn needs dialogues; response and response-k need prompts with a response",
        )
    layers = choose_layers(params.layers, params.depths, int(model["num_layers"]))
    taps = family.sites(config)
    missing: dict[str, str] = {
        site: tap.reason for site in params.sites if isinstance(tap := taps[site], Missing)
    }
    present = [site for site in dict.fromkeys(params.sites) if site not in missing]
    return ExtractionPlan(
        params=params,
        model=model,
        tokens=tokens,
        left_out=left_out,
        policies=policies,
        positions=positions,
        layers=layers,
        missing=missing,
        places=[(site, layer) for site in present for layer in layers],
        d_mlp=shape.d_mlp,
        rounds_weights=compute_dtype(params.dtype, model["num_parameters"]) != "float32"
        and adapter_on(base, aligned) is None,
        template_digest=_template_digest(params, base, aligned),
    )


def _fill_left(
    tokens: TokenPlan, policies: Sequence[Policy], base: Artifact, longest: int
) -> TokenPlan:
    if set(policies) != {"legacy"}:
        raise UserError(
            "position legacy fills prompts up, which changes what models compute at the others",
            where="positions",
            allowed=["legacy"],
            hint="give it an extraction of its own",
        )
    tokenizer = load_tokenizer(base.directory("model"))
    if tokenizer.eos_token_id is None:
        raise UserError("the tokenizer has no end of text to fill prompts with", where="positions")
    return fill_left(tokens, tokenizer.eos_token_id, longest)


def _template_digest(params: Params, base: Artifact, aligned: Artifact) -> str | None:
    if params.template == "none":
        return None
    return digest_bytes(find_chat_template(base, aligned).encode())


def choose_layers(
    layers: Literal["all"] | Sequence[int] | None, depths: Sequence[float], num_layers: int
) -> list[int]:
    """Return the layers that params name, ascending; for None those at the depths.

    Raises UserError for a layer that the model does not have.
    """
    if layers == "all":
        return list(range(num_layers))
    if layers is None:
        return sorted({layer_at(depth, num_layers) for depth in depths})
    beyond = [layer for layer in layers if layer >= num_layers]
    if beyond:
        raise UserError(
            f"there is no layer {beyond[0]}: the model has layers 0 to {num_layers - 1}",
            where="layers",
            hint="depths name the same relative depth in every model",
        )
    return sorted(set(layers))
