"""`RowView`: the rows that one position has in one batch, as indices and weights on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from jobs.tokens.batches import Batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class RowView:
    """Which of a batch's gathered rows a position takes, and whose they are."""

    position: Position
    """The position."""
    tokens: Int64[np.ndarray, " rows"]
    """Token of the plan that each row stands at; the first one of a pooled row."""
    prompts: Int64[np.ndarray, " rows"]
    """Id of the prompt of each row."""
    reservoir: Bool[np.ndarray, " rows"]
    """Rows that the reservoir keeps."""
    chosen: Int64[Tensor, " chosen"] | None
    """Indices into the gathered rows; None where it takes all of them."""
    pooling: Float32[Tensor, "rows chosen"] | None
    """Weights that make a row of several chosen ones; None where each is a row."""
    by_prompt: Float32[Tensor, "prompts rows"] | None
    """1 where a row is a prompt's; None where every prompt has one row."""

    def on(self, device: Any) -> RowView:
        """The same view for rows that lie on another device."""
        chosen, pooling, by_prompt = (
            None if tensor is None else tensor.to(device)
            for tensor in (self.chosen, self.pooling, self.by_prompt)
        )
        return replace(self, chosen=chosen, pooling=pooling, by_prompt=by_prompt)

    def rows(self, gathered: Float[Tensor, "gathered d"]) -> Float[Tensor, "rows d"]:
        """The position's rows of a gathered tensor."""
        picked = gathered if self.chosen is None else gathered.index_select(0, self.chosen)
        # A product with a matrix, not a scatter-add, whose order of sums a GPU does not fix.
        return picked if self.pooling is None else self.pooling @ picked

    def prompt_sums(
        self, rows: Float32[Tensor, "rows d"], weights: Float32[Tensor, " rows"]
    ) -> Float32[Tensor, "prompts d"]:
        """Weighted sums of rows over each prompt of the batch."""
        if self.by_prompt is None:
            return rows * weights[:, None]
        return (self.by_prompt * weights) @ rows


def row_views(
    plan: TokenPlan, batch: Batch, positions: Sequence[Position], device: Any
) -> list[RowView]:
    """One view per position that has rows in the batch, in the order of `positions`."""
    views = (_view(plan, batch, position, device) for position in positions)
    return [view for view in views if view is not None]


def _view(plan: TokenPlan, batch: Batch, position: Position, device: Any) -> RowView | None:
    import torch

    chosen = batch.selected[position.label]
    if len(chosen) == 0:
        return None
    owners, tokens = batch.owners[chosen], batch.tokens[chosen]
    present, first, counts = np.unique(owners, return_index=True, return_counts=True)
    membership: np.ndarray | None = None
    if position.pooled or len(present) < len(owners):
        membership = (present[:, None] == owners[None, :]).astype(np.float32)
    if position.pooled:
        assert membership is not None
        membership /= counts[:, None].astype(np.float32)
        owners, tokens = present, tokens[first]
    there = None if membership is None else torch.from_numpy(membership).to(device)
    whole = len(chosen) == len(batch.gathered)
    return RowView(
        position=position,
        tokens=tokens,
        prompts=plan.prompts[batch.members[owners]],
        reservoir=position.kept[tokens],
        chosen=None if whole else torch.from_numpy(chosen).to(device),
        pooling=there if position.pooled else None,
        by_prompt=None if position.pooled else there,
    )
