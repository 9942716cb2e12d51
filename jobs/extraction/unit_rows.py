"""`UnitRows`: the δ rows of a unit, reduced to a summary per place and position and a few rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32, Int64

from analysis.summary import GroupSummary
from jobs.extraction.pair import Offset, as_numpy
from jobs.extraction.taps import Place
from jobs.tokens.batches import Batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position

if TYPE_CHECKING:
    from torch import Tensor

FOLD_AT = 8192
"""Rows of one place and position held before they are folded into its summary."""


class UnitRows:
    """Takes batches of one unit, gives the arrays that its files hold."""

    def __init__(
        self, plan: TokenPlan, positions: Sequence[Position], with_moments: Collection[str]
    ) -> None:
        self._plan = plan
        self._positions = positions
        self._with_moments = with_moments
        self._waiting: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
        self._summaries: dict[str, GroupSummary] = {}
        self._num_rows = {position.label: 0 for position in positions}
        self._kept: dict[str, list[np.ndarray]] = {}
        self._kept_tokens: dict[str, list[Int64[np.ndarray, " rows"]]] = {}

    def add(self, batch: Batch, offsets: Iterable[Offset]) -> None:
        """Take one batch: its offsets at every place, each let go before the next is asked for."""
        found = []
        for position in self._positions:
            selection = Selection.of(self._plan, batch, position)
            if selection is not None:
                self._num_rows[position.label] += len(selection.tokens)
                tokens = selection.tokens[selection.kept]
                self._kept_tokens.setdefault(position.label, []).append(tokens)
                found.append((position, selection))
        for offset in offsets:
            for position, selection in found:
                self._take(position, selection, offset)

    def _take(self, position: Position, selection: Selection, offset: Offset) -> None:
        name = array_prefix(offset.place, position.label)
        rows, norms = selection.rows(offset)
        self._kept.setdefault(name, []).append(rows[selection.kept])
        waiting = self._waiting.setdefault(name, [])
        waiting.append((rows, norms, selection.prompts))
        if sum(len(part) for part, _, _ in waiting) >= FOLD_AT:
            self._fold(name, position.label)

    def _fold(self, name: str, label: str) -> None:
        waiting = self._waiting.pop(name, [])
        if not waiting:
            return
        rows, norms, prompts = (np.concatenate(parts) for parts in zip(*waiting, strict=True))
        summary = GroupSummary.from_rows(rows, norms, prompts, moments=label in self._with_moments)
        earlier = self._summaries.get(name)
        self._summaries[name] = earlier.merge(summary) if earlier else summary

    def finish(self) -> dict[str, np.ndarray]:
        """Arrays by name; kept rows in the plan's order, whatever the batches were.

        `SITE.LAYER.LABEL.*` is a summary, `SITE.LAYER.LABEL.rows` the kept rows, and
        `kept.LABEL.tokens` says which tokens of the plan those are.
        """
        arrays: dict[str, np.ndarray] = {}
        for position in self._positions:
            tokens = np.concatenate(self._kept_tokens.get(position.label, [np.zeros(0, np.int64)]))
            order = np.argsort(tokens, kind="stable")
            arrays[f"kept.{position.label}.tokens"] = tokens[order]
            suffix = f".{position.label}."
            for name in sorted(name for name in self._kept if name.endswith(suffix)):
                self._fold(name, position.label)
                arrays |= self._summaries[name].to_arrays(name)
                arrays[f"{name}rows"] = np.concatenate(self._kept[name])[order]
        return arrays

    def num_rows(self) -> dict[str, int]:
        """Rows taken by position, those that are not finite included."""
        return dict(self._num_rows)

    def num_nonfinite(self) -> dict[str, int]:
        """Rows with NaN or infinity by place and position, where there are any (after `finish`)."""
        return {
            name.rstrip("."): summary.num_nonfinite
            for name, summary in self._summaries.items()
            if summary.num_nonfinite
        }


def array_prefix(place: Place, label: str) -> str:
    """What the names of the arrays of one place and position begin with."""
    return f"{place[0]}.{place[1]}.{label}."


class Selection:
    """The rows that one position has in one batch."""

    def __init__(
        self,
        chosen: Int64[np.ndarray, " chosen"],
        tokens: Int64[np.ndarray, " rows"],
        prompts: Int64[np.ndarray, " rows"],
        kept: Bool[np.ndarray, " rows"],
        weights: Float32[np.ndarray, "rows chosen"] | None,
        whole: bool,
    ) -> None:
        self.chosen = chosen
        self.tokens = tokens
        self.prompts = prompts
        self.kept = kept
        self.weights = weights
        self._whole = whole

    @classmethod
    def of(cls, plan: TokenPlan, batch: Batch, position: Position) -> Selection | None:
        """The selection, or None where the batch has no such rows."""
        chosen = batch.selected[position.label]
        if len(chosen) == 0:
            return None
        owners = batch.owners[chosen]
        width = batch.token_ids.shape[1]
        tokens = plan.offsets[batch.members[owners]] + batch.gathered[chosen] % width
        weights = None
        if position.pooled:
            present, first, counts = np.unique(owners, return_index=True, return_counts=True)
            members = (present[:, None] == owners[None, :]).astype(np.float32)
            weights = members / counts[:, None].astype(np.float32)
            owners, tokens = present, tokens[first]
        prompts = plan.prompts[batch.members[owners]]
        whole = len(chosen) == len(batch.gathered)
        return cls(chosen, tokens, prompts, position.kept[tokens], weights, whole)

    def rows(
        self, offset: Offset
    ) -> tuple[Float32[np.ndarray, "rows d"], Float32[np.ndarray, " rows"]]:
        """The rows of δ, and the norms of the base rows they are offsets from."""
        base, delta = self._reduced(offset.base), self._reduced(offset.delta)
        return as_numpy(delta), as_numpy(base.square().sum(dim=1).sqrt())

    def _reduced(self, value: Float32[Tensor, "gathered d"]) -> Float32[Tensor, "rows d"]:
        import torch

        chosen = torch.from_numpy(self.chosen).to(value.device)
        picked = value if self._whole else value.index_select(0, chosen)
        if self.weights is None:
            return picked
        # A product with a matrix, not a scatter-add, whose order of sums a GPU does not fix.
        return torch.from_numpy(self.weights).to(value.device) @ picked
