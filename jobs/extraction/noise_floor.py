"""The noise floor: the base against itself, the same prompts in batches of another composition.

What δ would read if alignment had done nothing but change which kernels ran. One batch of the plan
is forwarded whole, then as two halves of other widths; where weights are rounded to 16 bits, also
whole with weights that were rounded once more, and the larger of both is the floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from jobs.extraction.weight_rounding import rounded_once_more
from jobs.store.activation_units import array_prefix
from jobs.taps.activations import Inputs, read_activations
from jobs.taps.taps import Place
from jobs.tokens.batches import pad_batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position, row_hash

_MOST_TOKENS = 2048
"""Tokens of the batch. No execution setting: the floor is a published number; and few, so that it
fits wherever a batch does."""

Rows = dict[Place, Float32[np.ndarray, "rows d"]]


def noise_floor(
    base: Any,
    plan: TokenPlan,
    positions: Sequence[Position],
    places: Sequence[Place],
    num_prompts: int,
    *,
    rounds_weights: bool = False,
) -> dict[str, dict[str, float]]:
    """`SITE.LAYER.LABEL` -> medians of |x - x'| and of |x - x'| / |x| over rows of the sample.

    Where weights are rounded, the part of that alone stands beside as `weight_rounding_NAME`.

    Args:
        base: the base model, where it computes.
        plan: the tokens.
        positions: whose rows.
        places: sites and layers.
        num_prompts: most prompts in the sample; fewer where they are long, at least two.
        rounds_weights: whether weights of 16 bits stand for the aligned model's own.
    """
    sample = _sample(plan, num_prompts)
    if len(sample) < 2:
        return {}
    whole, tokens = _rows(base, plan, positions, places, [sample])
    halves, _ = _rows(base, plan, positions, places, [sample[0::2], sample[1::2]])
    rounded = None
    if rounds_weights:
        with rounded_once_more(base):
            rounded, _ = _rows(base, plan, positions, places, [sample])
    floors = {}
    for position in positions:
        chosen = np.flatnonzero(position.tokens[tokens])
        if len(chosen) == 0:
            continue
        starts = _starts(plan, tokens[chosen]) if position.pooled else None
        for place in places:
            norms = np.linalg.norm(_reduced(whole[place][chosen], starts), axis=1)
            batches, weights = (
                _medians(_reduced(rows[place][chosen] - whole[place][chosen], starts), norms)
                for rows in (halves, rounded or whole)
            )
            floor = _larger(batches, weights) if rounded else batches
            floors[array_prefix(place, position.label).rstrip(".")] = floor
    return floors


def _larger(batches: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """Of both the larger, and what the weights' rounding gives by itself."""
    beside = {f"weight_rounding_{name}": value for name, value in weights.items()}
    return {name: max(value, weights[name]) for name, value in batches.items()} | beside


def _sample(plan: TokenPlan, num_prompts: int) -> Int64[np.ndarray, " members"]:
    """The prompts of the smallest hashes that fit into one batch."""
    order = np.argsort(row_hash(plan.prompts, np.zeros_like(plan.prompts)), kind="stable")
    order = order[:num_prompts]
    sizes = np.maximum.accumulate(plan.lengths[order]) * np.arange(1, len(order) + 1)
    return np.asarray(order[: max(2, int((sizes <= _MOST_TOKENS).sum()))])


def _rows(
    base: Any,
    plan: TokenPlan,
    positions: Sequence[Position],
    places: Sequence[Place],
    batches: Sequence[Int64[np.ndarray, " batch"]],
) -> tuple[Rows, Int64[np.ndarray, " rows"]]:
    """The wanted rows at every place in the plan's order, and which tokens they stand at."""
    tokens: list[np.ndarray] = []
    rows: dict[Place, list[np.ndarray]] = {place: [] for place in places}
    for members in batches:
        batch = pad_batch(plan, members, positions)
        width = batch.token_ids.shape[1]
        tokens.append(plan.offsets[members[batch.owners]] + batch.gathered % width)
        for place, found in read_activations(base, Inputs(batch, base.device), places).items():
            rows[place].append(found.float().cpu().numpy())
    stood = np.concatenate(tokens)
    order = np.argsort(stood)
    return {place: np.concatenate(parts)[order] for place, parts in rows.items()}, stood[order]


def _starts(plan: TokenPlan, tokens: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " prompts"]:
    """Where each prompt's tokens begin among these."""
    return np.unique(plan.owners[tokens], return_index=True)[1]


def _reduced(
    rows: Float32[np.ndarray, "rows d"], starts: Int64[np.ndarray, " prompts"] | None
) -> Float32[np.ndarray, "pooled d"]:
    """The rows, or their means by prompt."""
    if starts is None:
        return rows
    counts = np.diff(np.append(starts, len(rows))).astype(np.float32)
    return np.asarray(np.add.reduceat(rows, starts, axis=0) / counts[:, None])


def _medians(
    delta: Float32[np.ndarray, "rows d"], norms: Float32[np.ndarray, " rows"]
) -> dict[str, float]:
    moved = np.linalg.norm(delta.astype(np.float64), axis=1)
    based = norms > 0
    relative = float(np.median(moved[based] / norms[based])) if based.any() else 0.0
    return {"offset_norm": float(np.median(moved)), "relative_norm": relative}
