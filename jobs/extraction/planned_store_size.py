"""How large a store may become, from what a plan knows: params, a model's sizes, counted prompts.

No text is tokenised here. A token has at least one byte of text, so a prompts file has at most as
many tokens as bytes (with usual text about a quarter of that), and everything else follows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.long_table.depth import layer_at
from jobs.kind import Upstream
from jobs.models.family import NEURON_SITES, family_of_config
from jobs.models.shape import read_shape
from jobs.store.size_bound import ROW_BYTES, bound_store_bytes
from jobs.text.format import NUM_GROUPS
from jobs.tokens.position_policy import DEFAULT

if TYPE_CHECKING:
    from jobs.extraction.extract_params import Params

_ONE_ROW_A_PROMPT = ("last", "mean")


@dataclass(frozen=True, kw_only=True)
class _Sizes:
    """What is known of the base model."""

    d_model: int
    """Width of the residual stream."""
    num_layers: int
    """Blocks."""
    d_mlp: int | None
    """Neurons of one MLP, where known."""
    max_positions: int | None
    """Longest prompt in tokens, where known."""


def bound_planned_store_bytes(params: "Params", inputs: Mapping[str, Upstream]) -> int | None:
    """Most bytes of a store; None while the model's sizes or the prompts are not known."""
    sizes, prompts = _sizes(inputs["base"]), inputs["prompts"]
    if sizes is None or prompts.facts is None:
        return None
    policies = params.positions or prompts.facts.get("positions") or DEFAULT
    if "turn" in policies or params.template != "none":
        return None  # nothing says how many turns a dialogue has, or what a template adds
    if sizes.d_mlp is None and set(params.sites) & set(NEURON_SITES):
        return None
    num_prompts = int(prompts.facts["num_prompts"])
    num_tokens = prompts.files["prompts.jsonl"]
    longest = min(filter(None, (params.max_length, sizes.max_positions)), default=num_tokens)
    num_tokens = min(num_tokens, num_prompts * longest)
    # Two units in a row of one group hold more than unit_tokens together.
    num_units = min(num_prompts, NUM_GROUPS + 2 * num_tokens // params.unit_tokens)
    total = 0
    for policy in dict.fromkeys(policies):
        num_rows = num_prompts if policy in _ONE_ROW_A_PROMPT else num_tokens
        for widths, has_moments in _places(params, sizes):
            forms = _forms(params, policy, num_rows, sizes.d_model, has_moments)
            total += max(
                bound_store_bytes(num_units=num_units, widths=widths, **form) for form in forms
            )
    return total


def _sizes(base: Upstream) -> _Sizes | None:
    """From the config that the study gives, or the record of a model that stands."""
    config = base.params.get("config")
    if config is not None:
        # A tokenizer's size may not be known yet, and has no part in what is stored.
        shape = read_shape(family_of_config(config).FIELDS, {"vocab_size": 1, **config})
        return _Sizes(
            d_model=shape.d_model,
            num_layers=shape.num_layers,
            d_mlp=shape.d_mlp,
            max_positions=shape.max_positions,
        )
    if base.facts is None:
        return None
    model = base.facts["model"]
    return _Sizes(
        d_model=model["d_model"], num_layers=model["num_layers"], d_mlp=None, max_positions=None
    )


def _places(params: "Params", sizes: _Sizes) -> Iterator[tuple[Sequence[int], bool]]:
    """Widths of the places of the residual stream, then of neurons; whether they keep moments."""
    layers = params.layers
    if layers == "all":
        num_layers = sizes.num_layers
    elif layers is None:
        num_layers = len({layer_at(depth, sizes.num_layers) for depth in params.depths})
    else:
        num_layers = len(set(layers))
    neurons = set(params.sites) & set(NEURON_SITES)
    yield [sizes.d_model] * num_layers * len(set(params.sites) - neurons), True
    yield [sizes.d_mlp or 0] * num_layers * len(neurons), False


def _forms(
    params: "Params", policy: str, num_rows: int, d_model: int, has_moments: bool
) -> list[dict[str, Any]]:
    """What a position may be stored as: all rows where no group has d of them, else moments."""
    found = []
    if num_rows < NUM_GROUPS * d_model:
        few = min(num_rows, NUM_GROUPS * (d_model - 1))
        found.append(_form(params, policy, few, dense=False, whole=True, row_bytes=4))
    if num_rows >= d_model:
        dense = has_moments and policy in params.moments_positions
        whole, row_bytes = policy in params.full_rows, ROW_BYTES[params.rows]
        found.append(_form(params, policy, num_rows, dense=dense, whole=whole, row_bytes=row_bytes))
    return found


def _form(
    params: "Params", policy: str, num_rows: int, *, dense: bool, whole: bool, row_bytes: int
) -> dict[str, Any]:
    return {
        "num_rows": {policy: num_rows},
        "dense": {policy} if dense else set(),
        "rowwise": {policy} if whole else set(),
        "num_reservoir": params.num_reservoir,
        "row_bytes": row_bytes,
    }
