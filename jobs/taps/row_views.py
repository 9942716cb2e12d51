"""`RowView`: the rows of one position in one batch, as indices and weights on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from jobs.models.device import to_device
from jobs.tokens.batches import Batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class RowView:
    """Which of the gathered rows of a batch belong to a position, and to which prompt each."""

    position: Position
    """The position."""
    tokens: Int64[np.ndarray, " rows"]
    """Index in the token plan of the token of each row; of a pooled row, its first token."""
    prompts: Int64[np.ndarray, " rows"]
    """Id of the prompt of each row."""
    reservoir: Bool[np.ndarray, " rows"]
    """True for rows of the position's reservoir."""
    chosen: Int64[Tensor, " chosen"] | None
    """Indices into the gathered rows; None where the position has all of them."""
    pooling: Float32[Tensor, "rows chosen"] | None
    """Weights that average several chosen rows into one; None where no row is pooled."""
    by_prompt: Float32[Tensor, "prompts rows"] | None
    """1 where a row belongs to a prompt, else 0; None where every prompt has one row."""

    def on(self, device: torch.device | str) -> RowView:
        """Return the same view, of the host, for rows on a device."""
        chosen, pooling, by_prompt = (
            None if tensor is None else to_device(tensor, device)
            for tensor in (self.chosen, self.pooling, self.by_prompt)
        )
        return replace(self, chosen=chosen, pooling=pooling, by_prompt=by_prompt)

    def rows(self, gathered: Float[Tensor, "gathered d"]) -> Float[Tensor, "rows d"]:
        """Return the rows of the position out of a gathered tensor."""
        chosen = gathered if self.chosen is None else gathered.index_select(0, self.chosen)
        # A matrix product: a scatter-add has no fixed order of sums on a GPU.
        return chosen if self.pooling is None else self.pooling @ chosen

    def prompt_sums(
        self, rows: Float32[Tensor, "rows d"], weights: Float32[Tensor, " rows"]
    ) -> Float32[Tensor, "prompts d"]:
        """Return the weighted sum of the rows of each prompt of the batch."""
        if self.by_prompt is None:
            return rows * weights[:, None]
        return (self.by_prompt * weights) @ rows


def row_views(
    plan: TokenPlan, batch: Batch, positions: Sequence[Position], device: torch.device | str
) -> list[RowView]:
    """Return one view per position that has rows in the batch, in the order of `positions`."""
    views = (_view(plan, batch, position, device) for position in positions)
    return [view for view in views if view is not None]


def _view(
    plan: TokenPlan, batch: Batch, position: Position, device: torch.device | str
) -> RowView | None:
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
    weights = None if membership is None else to_device(torch.from_numpy(membership), device)
    has_all = len(chosen) == len(batch.gathered)
    return RowView(
        position=position,
        tokens=tokens,
        prompts=plan.prompts[batch.members[owners]],
        reservoir=position.reservoir[tokens],
        chosen=None if has_all else to_device(torch.from_numpy(chosen), device),
        pooling=weights if position.pooled else None,
        by_prompt=None if position.pooled else weights,
    )
