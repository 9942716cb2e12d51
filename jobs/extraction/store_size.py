"""Upper bounds of a store's bytes: before its prompts are tokenised, and before a model is loaded.

The first is for a plan: from params, sizes of the model, counted prompts. A token has at least one
byte of text, so a prompts file has at most as many tokens as bytes (usual text has about a quarter
of that), and everything else follows.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Bool, Int64

from analysis.long_table.depth import layer_at
from analysis.measurement import NUM_GROUPS
from cluster.errors import UserError
from jobs.extraction.extract_params import Params
from jobs.extraction.extraction_plan import ExtractionPlan
from jobs.forecast.upstream_models import shape_of
from jobs.kind import Upstream
from jobs.models.family import NEURON_SITES
from jobs.models.shape import Shape
from jobs.store.size_bound import ROW_BYTES, bound_store_bytes
from jobs.tokens.batches import Unit
from jobs.tokens.position_policy import DEFAULT, expanded, has_one_row


def bound_planned_store_bytes(params: Params, inputs: Mapping[str, Upstream]) -> int | None:
    """Return the most bytes of a store; None while model sizes or prompts are not known."""
    shape, prompts = shape_of(inputs["base"]), inputs["prompts"]
    if shape is None or prompts.facts is None:
        return None
    policies = params.positions or prompts.facts.get("positions") or DEFAULT
    if "turn" in policies or params.template != "none":
        return None  # the turns of dialogues and the markup of a template are not counted
    num_prompts = int(prompts.facts["num_prompts"])
    num_tokens = prompts.files["prompts.jsonl"]
    longest = min(params.max_length or num_tokens, shape.max_positions)
    num_tokens = min(num_tokens, num_prompts * longest)
    # Two units in a row of one group hold more than unit_tokens together.
    num_units = min(num_prompts, NUM_GROUPS + 2 * num_tokens // params.unit_tokens)
    total = 0
    for policy in expanded(policies):
        num_rows = num_prompts if has_one_row(policy) else num_tokens
        for places in _place_widths(params, shape):
            total += _most_bytes(params, num_rows, num_units, shape.d_model, policy, *places)
    return total


def _place_widths(params: Params, shape: Shape) -> Iterator[tuple[Sequence[int], bool]]:
    """Yield the widths of places in the residual stream, then of neurons; and if moments are."""
    layers = params.layers
    if layers == "all":
        num_layers = shape.num_layers
    elif layers is None:
        num_layers = len({layer_at(depth, shape.num_layers) for depth in params.depths})
    else:
        num_layers = len(set(layers))
    neurons = set(params.sites) & set(NEURON_SITES)
    yield [shape.d_model] * num_layers * len(set(params.sites) - neurons), True
    yield [shape.d_mlp] * num_layers * len(neurons), False


def _most_bytes(
    params: Params,
    num_rows: int,
    num_units: int,
    d_model: int,
    policy: str,
    widths: Sequence[int],
    may_have_moments: bool,
) -> int:
    """Bound the bytes at some places: all rows where no group has d of them, else moments."""
    bound = partial(
        bound_store_bytes, num_units=num_units, widths=widths, num_reservoir=params.num_reservoir
    )
    total = 0
    if num_rows < NUM_GROUPS * d_model:
        few = {policy: min(num_rows, NUM_GROUPS * (d_model - 1))}
        total = bound(num_rows=few, dense=(), rowwise=(policy,), row_bytes=ROW_BYTES["float32"])
    if num_rows >= d_model:
        dense = expanded(params.moments_positions) if may_have_moments else ()
        many = bound(
            num_rows={policy: num_rows},
            dense=dense,
            rowwise=expanded(params.full_rows),
            row_bytes=ROW_BYTES[params.rows],
        )
        total = max(total, many)
    return total


def require_budget(extraction: ExtractionPlan, planned: Sequence[Unit]) -> None:
    """Raise UserError, naming what takes most bytes, when the store may exceed its budget."""
    size = _bytes_of_plan(extraction, len(planned))
    budget = extraction.params.budget_gb
    if size > budget * 1e9:
        stored = extraction.stored
        raise UserError(
            f"the store may take {size / 1e9:.3g} GB, more than budget_gb allows ({budget:g})",
            where=f"{len(extraction.places)} places, {len(planned)} units, d x d moments at "
            f"{', '.join(sorted(stored.dense)) or 'no position'}, all rows at "
            f"{', '.join(sorted(stored.rowwise | stored.full)) or 'no position'}",
            hint="fewer sites, depths or moments_positions, larger unit_tokens, rows: bfloat16; "
            "or raise budget_gb",
        )


def _bytes_of_plan(extraction: ExtractionPlan, num_units: int) -> int:
    stored = extraction.stored
    num_rows = {
        position.label: _num_rows(position.tokens, extraction.tokens.owners, position.pooled)
        for position in extraction.positions
    }
    total = 0
    for dense, has_neurons in ((stored.dense, False), (frozenset[str](), True)):
        widths = [
            extraction.width(place)
            for place in extraction.places
            if (place[0] in NEURON_SITES) == has_neurons
        ]
        total += bound_store_bytes(
            num_rows=num_rows,
            num_units=num_units,
            widths=widths,
            dense=dense,
            rowwise=stored.rowwise | stored.full,
            num_reservoir=extraction.params.num_reservoir,
            row_bytes=ROW_BYTES["float32" if stored.rowwise else stored.rows],
        )
    return total


def _num_rows(
    tokens: Bool[np.ndarray, " tokens"], owners: Int64[np.ndarray, " tokens"], pooled: bool
) -> int:
    return len(np.unique(owners[tokens])) if pooled else int(tokens.sum())
