"""`UnitRows`: the offsets of one unit, reduced where they lie; rows that are kept leave as blocks.

Norms, unit-vector sums and neuron sums are over all rows of a position. Of the rows themselves go:
all, where no prompt group has d of them (`rowwise`) or the study asks for them; else the reservoir,
and beside the reservoir's rows those of the base model.
d x d moments are summed at `dense` positions, never at the sites of single neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool

from analysis.rows.summary import GroupSummary
from jobs.extraction.reduction import Host, Reduction
from jobs.models.family import NEURON_SITES
from jobs.store.activation_units import RowBlock, array_prefix
from jobs.taps.activations import Offset
from jobs.taps.row_views import RowView, row_views
from jobs.taps.taps import Place
from jobs.tokens.batches import Batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class StoredParts:
    """What is kept of each position, beside what all of them have; all by position label."""

    dense: frozenset[str]
    """Positions with d x d moments."""
    rowwise: frozenset[str]
    """Positions of few rows: all of them are stored in float32, and moments made of those."""
    full: frozenset[str]
    """Positions whose rows are all stored because the study asks for them."""
    rows: Literal["float32", "bfloat16"]
    """How rows are stored elsewhere."""

    def dtype(self, label: str) -> Literal["float32", "bfloat16"]:
        """How the rows of a position are stored."""
        return "float32" if label in self.rowwise else self.rows

    def stored(self, view: RowView) -> Bool[np.ndarray, " rows"]:
        """Which rows of a view are stored."""
        if view.position.label in self.rowwise | self.full:
            return np.ones(len(view.tokens), dtype=bool)
        return view.reservoir


class UnitRows:
    """Takes the batches of one unit."""

    def __init__(
        self,
        plan: TokenPlan,
        positions: Sequence[Position],
        keeping: StoredParts,
        *,
        host: Host,
        store: Callable[[RowBlock], None],
    ) -> None:
        self._plan = plan
        self._positions = positions
        self._keeping = keeping
        self._host = host
        self._store = store
        self._reductions: dict[tuple[Place, str], Reduction] = {}
        self._num_rows = {position.label: 0 for position in positions}

    def add(self, batch: Batch, offsets: Iterable[Offset]) -> None:
        """Take one batch: its offsets at every place, each let go before the next is asked for."""
        views = row_views(self._plan, batch, self._positions, "cpu")
        blocks = [
            _Block(
                view,
                self._keeping.stored(view),
                self._keeping.dtype(view.position.label),
                self._host,
            )
            for view in views
        ]
        for offset in offsets:
            norms = (_norms(offset.delta), _norms(offset.base))
            for block in blocks:
                self._take(block, offset, norms)
        for block in blocks:
            self._num_rows[block.label] += len(block.tokens)
            if block.rows:
                self._store(block.finished())

    @property
    def summary_bytes(self) -> int:
        """About the host memory that the summaries will take."""
        return sum(reduction.nbytes for reduction in self._reductions.values())

    def finish(self) -> Callable[[], dict[str, np.ndarray]]:
        """Start the copies to the host; the arrays of the summaries, for who waits for those.

        Names are `SITE.LAYER.LABEL.*`.
        """
        waiting = {
            array_prefix(place, label): reduction.finish(self._host)
            for (place, label), reduction in self._reductions.items()
        }
        self._reductions.clear()

        def arrays() -> dict[str, np.ndarray]:
            summaries = {prefix: summary() for prefix, summary in waiting.items()}
            _require_finite(summaries)
            found: dict[str, np.ndarray] = {}
            for prefix in sorted(summaries):
                found |= summaries[prefix].to_arrays(prefix)
            return found

        return arrays

    def num_rows(self) -> dict[str, int]:
        """Rows taken by position."""
        return dict(self._num_rows)

    def _take(self, block: _Block, offset: Offset, norms: tuple[Tensor, Tensor]) -> None:
        view, site, label = block.on(offset.delta.device), offset.place[0], block.label
        delta = view.rows(offset.delta)
        if view.pooling is not None:
            norms = (_norms(delta), _norms(view.rows(offset.base)))
        elif view.chosen is not None:
            norms = (norms[0][view.chosen], norms[1][view.chosen])
        neurons = site in NEURON_SITES
        reduction = self._reductions.setdefault(
            (offset.place, label),
            Reduction(dense=label in self._keeping.dense and not neurons, neurons=neurons),
        )
        reduction.add(view, delta, norms)
        if neurons:
            reduction.add_neurons(view.rows(offset.base), view.rows(offset.aligned))
        block.keep(offset, delta)


class NotFinite(Exception):  # noqa: N818 - whoever knows the unit makes a user's error of it
    """Rows that are NaN or infinite, so that their unit is not written."""


class _Block:
    """The rows of one position in one batch, and those of them that are stored, place by place."""

    def __init__(
        self, view: RowView, stored: Bool[np.ndarray, " rows"], dtype: str, host: Host
    ) -> None:
        self.label = view.position.label
        self.tokens = view.tokens
        self.rows: dict[Place, Tensor] = {}
        self.base: dict[Place, Tensor] = {}
        self._view = view
        self._stored = stored
        self._dtype = dtype
        self._host = host
        self._on: dict[Any, _OnDevice] = {}

    def on(self, device: Any) -> RowView:
        """The view for rows on a device; a model may lie on several."""
        return self._ready(device).view

    def keep(self, offset: Offset, delta: Tensor) -> None:
        """Start the copies of the stored rows of a place, and of the reservoir's base rows."""
        import torch

        ready = self._ready(delta.device)
        if self._stored.any():
            rows = _picked(delta, ready.stored).to(getattr(torch, self._dtype))
            self.rows[offset.place] = self._host(rows)
        if self._view.reservoir.any():
            self.base[offset.place] = self._host(ready.base(offset.base))

    def _ready(self, device: Any) -> _OnDevice:
        """What it takes to pick rows that lie on a device."""
        if device not in self._on:
            self._on[device] = _OnDevice(
                self._view.on(device),
                _indices(self._stored, device),
                _indices(self._view.reservoir, device),
            )
        return self._on[device]

    def finished(self) -> RowBlock:
        """All of it, complete on the host when the writer's turn comes."""
        return RowBlock(
            label=self.label,
            tokens=self.tokens[self._stored],
            reservoir=self._view.reservoir[self._stored],
            rows=self.rows,
            base=self.base,
        )


class _OnDevice:
    """A view on a device, and which of its rows leave it; no index stands for all of them."""

    def __init__(self, view: RowView, stored: Tensor | None, reservoir: Tensor | None) -> None:
        self.view = view
        self.stored = stored
        self._reservoir = reservoir
        # Base rows are picked out of all gathered ones: those of a position may be far more.
        self._gathered = view.chosen if reservoir is None else reservoir
        if reservoir is not None and view.chosen is not None:
            self._gathered = view.chosen.index_select(0, reservoir)

    def base(self, gathered: Tensor) -> Tensor:
        """The reservoir's rows of a gathered tensor."""
        if self.view.pooling is not None:
            return _picked(self.view.rows(gathered), self._reservoir)
        return _picked(gathered, self._gathered)


def _indices(flags: Bool[np.ndarray, " rows"], device: Any) -> Tensor | None:
    import torch

    return None if flags.all() else torch.from_numpy(np.flatnonzero(flags)).to(device)


def _picked(rows: Tensor, index: Tensor | None) -> Tensor:
    return rows if index is None else rows.index_select(0, index)


def _norms(rows: Tensor) -> Any:
    import torch

    return torch.linalg.vector_norm(rows, dim=1)


def _require_finite(summaries: dict[str, GroupSummary]) -> None:
    for prefix, summary in summaries.items():
        if summary.num_nonfinite:
            raise NotFinite(f"{summary.num_nonfinite} rows at {prefix.rstrip('.')}")
