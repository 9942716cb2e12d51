"""Units and batches of a token plan: which prompts are forwarded together, padded how.

A unit is a slice of one group, the thing that is stored and retried; batches are cut inside it.
Both are functions of the plan and a budget in tokens, so every model and every retry sees the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from jobs.artifacts.artifact import digest_bytes
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position


@dataclass(frozen=True, kw_only=True, eq=False)
class Unit:
    """Whole prompts of one group."""

    number: int
    """From 0, in the order of groups."""
    group: int
    """The group of all its prompts."""
    members: Int64[np.ndarray, " members"]
    """Indices of its prompts in the plan, ascending."""
    num_tokens: int
    """Tokens of its prompts, without padding."""

    @property
    def name(self) -> str:
        """Name of its folder in a store."""
        return f"{self.number:06d}"

    @property
    def digest(self) -> str:
        """Digest of which prompts it holds."""
        return digest_bytes(self.members.tobytes())


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Prompts padded on the right to the longest, and the rows that are wanted of them."""

    members: Int64[np.ndarray, " batch"]
    """Indices of its prompts in the plan."""
    token_ids: Int64[np.ndarray, "batch width"]
    """Token ids; 0 where padded."""
    attention_mask: Int64[np.ndarray, "batch width"]
    """1 on tokens, 0 on padding."""
    gathered: Int64[np.ndarray, " rows"]
    """Places in the flattened (batch, width) that some position needs, ascending."""
    owners: Int64[np.ndarray, " rows"]
    """Row of `members` that each gathered place belongs to."""
    tokens: Int64[np.ndarray, " rows"]
    """Token of the plan at each gathered place."""
    selected: Mapping[str, Int64[np.ndarray, " selected"]]
    """Position label -> its tokens, as indices into `gathered`."""


def cut_units(plan: TokenPlan, unit_tokens: int) -> list[Unit]:
    """Cut every group, in plan order, wherever a unit would exceed `unit_tokens` tokens."""
    found: list[Unit] = []
    for group in np.unique(plan.groups):
        inside = np.flatnonzero(plan.groups == group)
        ends = np.cumsum(plan.lengths[inside])
        start = 0
        while start < len(inside):
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + unit_tokens, side="right")))
            found.append(
                Unit(
                    number=len(found),
                    group=int(group),
                    members=inside[start:stop],
                    num_tokens=int(ends[stop - 1]) - before,
                )
            )
            start = stop
    return found


def cut_batches(
    plan: TokenPlan, members: Int64[np.ndarray, " members"], token_budget: int
) -> list[Int64[np.ndarray, " batch"]]:
    """Prompts sorted by length, cut so that prompts times longest stays within the budget."""
    order = members[np.argsort(plan.lengths[members], kind="stable")]
    batches: list[Int64[np.ndarray, " batch"]] = []
    start = 0
    for stop in range(1, len(order) + 1):
        # Sorted ascending: the candidate is the longest of the batch it would join.
        full = stop < len(order) and (stop + 1 - start) * plan.lengths[order[stop]] > token_budget
        if full or stop == len(order):
            batches.append(order[start:stop])
            start = stop
    return batches


def pad_batch(
    plan: TokenPlan, members: Int64[np.ndarray, " batch"], positions: Sequence[Position]
) -> Batch:
    """The batch of these prompts, in this order, with the rows these positions need."""
    lengths = plan.lengths[members]
    real = np.arange(int(lengths.max()))[None, :] < lengths[:, None]
    source = plan.offsets[members][:, None] + np.arange(real.shape[1])[None, :]
    token_ids = np.zeros(real.shape, dtype=np.int64)
    token_ids[real] = plan.token_ids[source[real]]
    # A mask over tokens becomes one over the padded batch; padding is never in it.
    masks = {position.label: _spread(position.tokens, source, real) for position in positions}
    union = np.logical_or.reduce([*masks.values(), np.zeros(real.shape, dtype=bool)])
    gathered = np.flatnonzero(union)
    return Batch(
        members=members,
        token_ids=token_ids,
        attention_mask=real.astype(np.int64),
        gathered=gathered,
        owners=gathered // real.shape[1],
        tokens=source.ravel()[gathered],
        selected={label: np.flatnonzero(mask.ravel()[gathered]) for label, mask in masks.items()},
    )


def _spread(
    tokens: Bool[np.ndarray, " tokens"],
    source: Int64[np.ndarray, "batch width"],
    real: Bool[np.ndarray, "batch width"],
) -> Bool[np.ndarray, "batch width"]:
    spread = np.zeros(real.shape, dtype=bool)
    spread[real] = tokens[source[real]]
    return spread
