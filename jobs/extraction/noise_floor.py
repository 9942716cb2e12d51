"""The noise floor: the base against itself, the same prompts in batches of another composition.

The floor is δ of an alignment that changes nothing but the kernels that run. One batch of the plan
is forwarded whole, then as two halves of other widths; where weights are rounded to 16 bits, also
whole with weights that were rounded once more, and the larger of both is the floor: comparing
batches does not show the error of an aligned model's rounded weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch.nn import Module

from jobs.models.language_model import LanguageModel
from jobs.store.store_layout import array_prefix
from jobs.taps.activations import Inputs, read_activations
from jobs.taps.taps import Place
from jobs.tokens.batches import pad_batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position, row_hash

_MOST_TOKENS = 2048
"""Tokens of the batch. Not an execution param, because the floor is a published number; and few, so
that the batch fits into memory wherever another one does."""
_ONE_IN = 12
"""A rounding error is uniform between -1/2 and 1/2 of a last place: its variance is 1/12, the same
as that of moving one weight in 12 by a whole last place, which 16 bits can hold."""
_AT_ONCE = 1 << 24
"""Most weights that random numbers are drawn for together: a second large matrix would not fit."""

Rows = dict[Place, Float32[np.ndarray, "_ d"]]
"""Place -> rows of the base model."""


def noise_floor(
    base: LanguageModel,
    plan: TokenPlan,
    positions: Sequence[Position],
    places: Sequence[Place],
    num_prompts: int,
    *,
    rounds_weights: bool = False,
) -> dict[str, dict[str, float]]:
    """Measure medians of |x - x'| and of |x - x'| / |x| over the rows of a sample of prompts.

    Args:
        base: the base model, on its device.
        plan: the tokens.
        positions: positions to measure.
        places: sites and layers.
        num_prompts: most prompts in the sample; fewer where they are long, at least two.
        rounds_weights: whether the aligned model's own weights were rounded to 16 bits.

    Returns:
        `SITE.LAYER.LABEL` -> `offset_norm` and `relative_norm`; where weights are rounded, also
        `weight_rounding_...`, the part that rounding alone explains.
    """
    sample = _sample(plan, num_prompts)
    if len(sample) < 2:
        return {}
    whole, tokens = _rows(base, plan, positions, places, [sample])
    halves, _ = _rows(base, plan, positions, places, [sample[0::2], sample[1::2]])
    rounded = None
    if rounds_weights:
        assert isinstance(base, Module), "a model with an adapter is never rounded"
        with rounded_once_more(base):
            rounded, _ = _rows(base, plan, positions, places, [sample])
    floors = {}
    for position in positions:
        chosen = np.flatnonzero(position.tokens[tokens])
        if len(chosen) == 0:
            continue
        firsts = np.unique(plan.owners[tokens[chosen]], return_index=True)[1]
        starts = firsts if position.pooled else None
        for place in places:
            norms = np.linalg.norm(_pool(whole[place][chosen], starts), axis=1)
            batches, weights = (
                _medians(_pool(rows[place][chosen] - whole[place][chosen], starts), norms)
                for rows in (halves, rounded or whole)
            )
            floor = _larger(batches, weights) if rounded else batches
            floors[array_prefix(place, position.label).rstrip(".")] = floor
    return floors


def _larger(batches: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """Return the larger of both floors, and the one of rounded weights by itself."""
    of_weights = {f"weight_rounding_{name}": value for name, value in weights.items()}
    return {name: max(value, weights[name]) for name, value in batches.items()} | of_weights


def _sample(plan: TokenPlan, num_prompts: int) -> Int64[np.ndarray, " members"]:
    """Choose the prompts of the smallest hashes that fit into one batch."""
    order = np.argsort(row_hash(plan.prompts, np.zeros_like(plan.prompts)), kind="stable")
    order = order[:num_prompts]
    sizes = np.maximum.accumulate(plan.lengths[order]) * np.arange(1, len(order) + 1)
    return np.asarray(order[: max(2, int((sizes <= _MOST_TOKENS).sum()))])


def _rows(
    base: LanguageModel,
    plan: TokenPlan,
    positions: Sequence[Position],
    places: Sequence[Place],
    batches: Sequence[Int64[np.ndarray, " _"]],
) -> tuple[Rows, Int64[np.ndarray, " rows"]]:
    """Read the rows of all positions at every place, in the plan's order, and their tokens."""
    tokens: list[np.ndarray] = []
    rows: dict[Place, list[np.ndarray]] = {place: [] for place in places}
    for members in batches:
        batch = pad_batch(plan, members, positions)
        tokens.append(batch.tokens)
        for place, gathered in read_activations(base, Inputs(batch, base.device), places).items():
            rows[place].append(gathered.float().cpu().numpy())
    row_tokens = np.concatenate(tokens)
    order = np.argsort(row_tokens)
    ordered = {place: np.concatenate(parts)[order] for place, parts in rows.items()}
    return ordered, row_tokens[order]


def _pool(
    rows: Float32[np.ndarray, "rows d"], starts: Int64[np.ndarray, " prompts"] | None
) -> Float32[np.ndarray, "pooled d"]:
    """Average rows by prompt; return them as they are without `starts`."""
    if starts is None:
        return rows
    counts = np.diff(np.append(starts, len(rows))).astype(np.float32)
    return np.asarray(np.add.reduceat(rows, starts, axis=0) / counts[:, None])


def _medians(
    delta: Float32[np.ndarray, "rows d"], norms: Float32[np.ndarray, " rows"]
) -> dict[str, float]:
    delta_norms = np.linalg.norm(delta.astype(np.float64), axis=1)
    has_base = norms > 0
    ratios = delta_norms[has_base] / norms[has_base]
    relative = float(np.median(ratios)) if has_base.any() else 0.0
    return {"offset_norm": float(np.median(delta_norms)), "relative_norm": relative}


@contextmanager
def rounded_once_more(model: Module) -> Iterator[None]:
    """Flip the last bit of one weight in 12, in every matrix, while the block runs.

    A second flip restores the same bits. Weights that a family keeps in fp32 are not changed.
    """
    _flip_last_bits(model)
    try:
        yield
    finally:
        _flip_last_bits(model)


def _flip_last_bits(model: Module) -> None:

    for number, parameter in enumerate(model.parameters()):
        if parameter.dtype.itemsize != 2:
            continue
        bits = parameter.data.view(torch.int16).view(-1)
        draw = torch.Generator(device=bits.device).manual_seed(number)
        for part in torch.split(bits, _AT_ONCE):
            drawn = torch.randint(_ONE_IN, part.shape, generator=draw, device=bits.device)
            part.bitwise_xor_((drawn == 0).to(torch.int16))
