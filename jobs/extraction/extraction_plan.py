"""What one paired extraction will do, decided from params and inputs before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from analysis.long_table.depth import layer_at
from cluster.errors import UserError
from jobs.artifacts.artifact import Artifact, digest_bytes
from jobs.extraction.paired_inputs import (
    build_shared_plan,
    find_chat_template,
    require_common_model,
)
from jobs.extraction.unit_rows import StoredParts
from jobs.models.family import NEURON_SITES, Missing, family_of_config
from jobs.models.folder import read_config
from jobs.models.model_facts import Dtype, compute_dtype
from jobs.models.shape import read_shape
from jobs.taps.pair_loading import adapter_on
from jobs.tokens.position_policy import DEFAULT
from jobs.tokens.positions import Position, find_positions
from jobs.worker.work import Work

if TYPE_CHECKING:
    from jobs.extraction.extract_params import Params
    from jobs.taps.taps import Place
    from jobs.tokens.plan import TokenPlan


@dataclass(frozen=True, kw_only=True, eq=False)
class ExtractionPlan:
    """What is to be extracted, decided before a model is loaded."""

    params: Params
    """As the study says."""
    model: Mapping[str, Any]
    """Facts of the base model."""
    plan: TokenPlan
    """The tokens."""
    too_long: Sequence[int]
    """Ids of prompts left out for their length."""
    policies: Sequence[str]
    """Position policies asked for."""
    positions: Sequence[Position]
    """Those of them that have rows."""
    layers: Sequence[int]
    """Layers, ascending."""
    missing: Mapping[str, str]
    """Site -> why the family does not have it."""
    places: Sequence[Place]
    """Sites that exist, at every layer."""
    template_digest: str | None
    """xxh3-64 of the chat template that the tokens stand in; None without one."""
    d_mlp: int
    """Neurons of a block."""
    rounds_weights: bool
    """Whether weights of 16 bits stand for the aligned model's own; an adapter stays as it is."""

    @property
    def dtype(self) -> Dtype:
        """Compute dtype of both models."""
        return compute_dtype(self.params.dtype, self.model["num_parameters"])

    def width(self, place: Place) -> int:
        """Width of the rows at a place."""
        return self.d_mlp if place[0] in NEURON_SITES else int(self.model["d_model"])

    @property
    def keeping(self) -> StoredParts:
        """What is kept of each position: its rows while they are fewer than d, else moments."""
        few = {
            position.label
            for position in self.positions
            if position.largest_group < self.model["d_model"]
        }
        many = [position for position in self.positions if position.label not in few]
        params = self.params
        return StoredParts(
            dense=frozenset(p.label for p in many if p.policy in params.moments_positions),
            rowwise=frozenset(few),
            full=frozenset(p.label for p in many if p.policy in params.full_rows),
            rows=params.rows,
        )


def plan_extraction(work: Work) -> ExtractionPlan:
    """Settle tokens, rows, layers and sites. Raises UserError for what cannot be done."""
    params: Params = work.params
    base, aligned, prompts = (work.input(name) for name in ("base", "aligned", "prompts"))
    model = require_common_model(base, aligned)
    config = read_config(base.path("model/config.json").parent)
    family = family_of_config(config)
    shape = read_shape(family.FIELDS, config)
    longest = min(shape.max_positions, params.max_length or shape.max_positions)
    plan, too_long = build_shared_plan(base, aligned, prompts, longest, params.template)
    policies = params.positions or prompts.facts.get("positions") or DEFAULT
    found = find_positions(plan, policies, params.num_reservoir)
    if not found:
        raise UserError(
            f"no prompt has a token at {' or '.join(policies)}",
            where=prompts.folder,
            hint="turn needs dialogues; response needs prompts with a response",
        )
    layers = choose_layers(params.layers, params.depths, int(model["num_layers"]))
    sites = family.sites(config)
    missing: dict[str, str] = {
        site: tap.reason for site in params.sites if isinstance(tap := sites[site], Missing)
    }
    present = [site for site in dict.fromkeys(params.sites) if site not in missing]
    return ExtractionPlan(
        params=params,
        model=model,
        plan=plan,
        too_long=too_long,
        policies=policies,
        positions=found,
        layers=layers,
        missing=missing,
        places=[(site, layer) for site in present for layer in layers],
        d_mlp=shape.d_mlp,
        rounds_weights=compute_dtype(params.dtype, model["num_parameters"]) != "float32"
        and adapter_on(base, aligned) is None,
        template_digest=_template_digest(params, base, aligned),
    )


def _template_digest(params: Params, base: Artifact, aligned: Artifact) -> str | None:
    if params.template == "none":
        return None
    return digest_bytes(find_chat_template(base, aligned).encode())


def choose_layers(
    asked: Literal["all"] | Sequence[int] | None, depths: Sequence[float], num_layers: int
) -> list[int]:
    """The layers asked for, ascending; those at the depths for None.

    Raises UserError for one that the model does not have.
    """
    if asked == "all":
        return list(range(num_layers))
    if asked is None:
        return sorted({layer_at(depth, num_layers) for depth in depths})
    beyond = [layer for layer in asked if layer >= num_layers]
    if beyond:
        raise UserError(
            f"there is no layer {beyond[0]}: the model has layers 0 to {num_layers - 1}",
            where="layers",
            hint="depths name the same relative depth in every model",
        )
    return sorted(set(asked))
