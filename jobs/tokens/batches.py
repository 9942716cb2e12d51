"""Units and batches of a token plan: which prompts are forwarded together, and how they are padded.

A unit is a slice of one prompt group: the part of a store that is written, and retried, as a whole.
Batches are cut inside a unit. Both follow from the plan and a budget in tokens alone, so every
model and every retry sees the same batches.
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
    """Whole prompts of one group that are stored together."""

    number: int
    """Number of the unit, from 0, in the order of groups."""
    group: int
    """The group of all prompts of the unit."""
    members: Int64[np.ndarray, " members"]
    """Indices in the plan of the unit's prompts, ascending."""
    num_tokens: int
    """Tokens of the unit's prompts, without padding."""

    @property
    def name(self) -> str:
        """Name of the unit's folder in a store."""
        return f"{self.number:06d}"

    @property
    def digest(self) -> str:
        """Digest of `members`."""
        return digest_bytes(self.members.tobytes())


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Prompts padded on the right to the longest, and which of their tokens give rows."""

    members: Int64[np.ndarray, " batch"]
    """Indices in the plan of the prompts."""
    token_ids: Int64[np.ndarray, "batch width"]
    """Token ids; 0 where padded."""
    attention_mask: Int64[np.ndarray, "batch width"]
    """1 on tokens, 0 on padding."""
    gathered: Int64[np.ndarray, " rows"]
    """Indices into the flattened (batch, width) of tokens that some position needs, ascending."""
    owners: Int64[np.ndarray, " rows"]
    """Index into `members` of the prompt of each gathered token."""
    tokens: Int64[np.ndarray, " rows"]
    """Index in the token plan of each gathered token."""
    selected: Mapping[str, Int64[np.ndarray, " _"]]
    """Position label -> tokens of the position, as indices into `gathered`."""


def cut_units(plan: TokenPlan, unit_tokens: int) -> list[Unit]:
    """Cut every group, in plan order, wherever a unit would exceed `unit_tokens` tokens."""
    units: list[Unit] = []
    for group in np.unique(plan.groups):
        inside = np.flatnonzero(plan.groups == group)
        ends = np.cumsum(plan.lengths[inside])
        start = 0
        while start < len(inside):
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + unit_tokens, side="right")))
            units.append(
                Unit(
                    number=len(units),
                    group=int(group),
                    members=inside[start:stop],
                    num_tokens=int(ends[stop - 1]) - before,
                )
            )
            start = stop
    return units


def cut_batches(
    plan: TokenPlan, members: Int64[np.ndarray, " members"], token_budget: int
) -> list[Int64[np.ndarray, " _"]]:
    """Sort prompts by length and cut them into batches of at most `token_budget` padded tokens.

    Args:
        plan: the tokens.
        members: indices of prompts in the plan.
        token_budget: most tokens of a batch, padding included; a longer prompt is a batch alone.

    Returns:
        The members of each batch, shortest prompts first.
    """
    order = members[np.argsort(plan.lengths[members], kind="stable")]
    batches: list[Int64[np.ndarray, " _"]] = []
    start = 0
    for stop in range(1, len(order) + 1):
        # Sorted ascending: the candidate is the longest of the batch it would join.
        is_full = (
            stop < len(order) and (stop + 1 - start) * plan.lengths[order[stop]] > token_budget
        )
        if is_full or stop == len(order):
            batches.append(order[start:stop])
            start = stop
    return batches


def pad_batch(
    plan: TokenPlan, members: Int64[np.ndarray, " batch"], positions: Sequence[Position]
) -> Batch:
    """Pad these prompts, in this order, to one batch with the rows that the positions need."""
    lengths = plan.lengths[members]
    is_token = np.arange(int(lengths.max()))[None, :] < lengths[:, None]
    source = plan.offsets[members][:, None] + np.arange(is_token.shape[1])[None, :]
    token_ids = np.zeros(is_token.shape, dtype=np.int64)
    token_ids[is_token] = plan.token_ids[source[is_token]]
    masks = {position.label: _pad_mask(position.tokens, source, is_token) for position in positions}
    union = np.logical_or.reduce([*masks.values(), np.zeros(is_token.shape, dtype=bool)])
    gathered = np.flatnonzero(union)
    return Batch(
        members=members,
        token_ids=token_ids,
        attention_mask=is_token.astype(np.int64),
        gathered=gathered,
        owners=gathered // is_token.shape[1],
        tokens=source.ravel()[gathered],
        selected={label: np.flatnonzero(mask.ravel()[gathered]) for label, mask in masks.items()},
    )


def _pad_mask(
    mask: Bool[np.ndarray, " tokens"],
    source: Int64[np.ndarray, "batch width"],
    is_token: Bool[np.ndarray, "batch width"],
) -> Bool[np.ndarray, "batch width"]:
    """Turn a mask over the plan's tokens into one over a padded batch, False on padding."""
    padded = np.zeros(is_token.shape, dtype=bool)
    padded[is_token] = mask[source[is_token]]
    return padded
