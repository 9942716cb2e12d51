"""`UnitRows`: the offsets of one unit, summed on their device; stored rows leave it as blocks.

Norms, unit-vector sums and neuron sums cover all rows of a position; d x d moments are summed at
`dense` positions, never at sites of neurons. All rows are stored where no prompt group has d of
them (`rowwise`) or the study wants them; else those of the reservoir. For every row of the
reservoir the base model's own row is stored, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from analysis.rows.summary import GroupSummary
from jobs.extraction.reduction import Reduction, ToHost
from jobs.models.device import to_device
from jobs.models.family import NEURON_SITES
from jobs.store.store_layout import array_prefix
from jobs.store.unit_writer import RowBlock
from jobs.taps.activations import Offset
from jobs.taps.row_views import RowView, row_views
from jobs.taps.taps import Place
from jobs.tokens.batches import Batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from jobs.extraction.writer_thread import HostCopies

PendingArrays = Callable[[], dict[str, np.ndarray]]
"""Returns arrays by name; called on the writer thread, after the copies to the host have ended."""


@dataclass(frozen=True, kw_only=True)
class StoredParts:
    """The parts of a position that are stored beside summaries and reservoir, by label."""

    dense: frozenset[str]
    """Positions with d x d moments."""
    rowwise: frozenset[str]
    """Positions of few rows: all are stored in float32, and moments are computed from them."""
    full: frozenset[str]
    """Positions whose rows are all stored because the study wants them."""
    rows: Literal["float32", "bfloat16"]
    """Dtype of stored rows at all positions that are not `rowwise`."""

    def dtype(self, label: str) -> Literal["float32", "bfloat16"]:
        """Return the dtype of the stored rows of a position."""
        return "float32" if label in self.rowwise else self.rows

    def select(self, view: RowView) -> Bool[np.ndarray, " rows"]:
        """Mark the rows of a view that are stored."""
        if view.position.label in self.rowwise | self.full:
            return np.ones(len(view.tokens), dtype=bool)
        return view.reservoir


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Sums the batches of one unit, and hands over the rows that are stored."""

    plan: TokenPlan
    """The tokens."""
    positions: Sequence[Position]
    """Positions that have rows."""
    stored: StoredParts
    """Parts of each position that are stored."""
    copies: Callable[[], HostCopies]
    """Returns a collection of copies to the host."""
    store: Callable[[RowBlock, HostCopies], None]
    """Takes each block of rows, with the copies that fill it."""
    num_rows: Counter[str] = field(default_factory=Counter)
    """Position label -> number of rows so far."""
    _reductions: dict[tuple[Place, str], Reduction] = field(default_factory=dict)

    def add(self, batch: Batch, offsets: Iterable[Offset]) -> None:
        """Add one batch: its offsets at every place, each released before the next is formed."""
        views = row_views(self.plan, batch, self.positions, "cpu")
        copies = self.copies()  # of all positions and places, for which the writer waits once
        blocks = [
            _BlockBuilder(
                view, self.stored.select(view), self.stored.dtype(view.position.label), copies
            )
            for view in views
        ]
        for offset in offsets:
            norms = (_norms(offset.delta), _norms(offset.base))
            for block in blocks:
                self._add_offset(block, offset, norms)
        for block in blocks:
            self.num_rows[block.view.position.label] += len(block.view.tokens)
            if block.rows:
                self.store(block.build(), copies)

    @property
    def summary_bytes(self) -> int:
        """About the bytes of host memory that the summaries will take."""
        return sum(reduction.nbytes for reduction in self._reductions.values())

    def finish(self, to_host: ToHost) -> PendingArrays:
        """Add all summaries to the copies to the host; return their arrays, pending.

        Names are `SITE.LAYER.LABEL.*`. The arrays raise NonfiniteRowsError for NaN and infinity.
        """
        pending = {}
        for place, label in list(self._reductions):
            # Released one by one: the finished moments are a second copy on the device.
            reduction = self._reductions.pop((place, label))
            pending[array_prefix(place, label)] = reduction.finish(to_host)
            del reduction

        def arrays() -> dict[str, np.ndarray]:
            summaries = {prefix: summary() for prefix, summary in pending.items()}
            _require_finite(summaries)
            named: dict[str, np.ndarray] = {}
            for prefix in sorted(summaries):
                named |= summaries[prefix].to_arrays(prefix)
            return named

        return arrays

    def _add_offset(
        self,
        block: _BlockBuilder,
        offset: Offset,
        norms: tuple[Float32[Tensor, " gathered"], Float32[Tensor, " gathered"]],
    ) -> None:
        view, site, label = (
            block.on(offset.delta.device),
            offset.place[0],
            block.view.position.label,
        )
        delta = view.rows(offset.delta)
        if view.pooling is not None:
            norms = (_norms(delta), _norms(view.rows(offset.base)))
        elif view.chosen is not None:
            norms = (norms[0][view.chosen], norms[1][view.chosen])
        has_neurons = site in NEURON_SITES
        reduction = self._reductions.setdefault(
            (offset.place, label),
            Reduction(dense=label in self.stored.dense and not has_neurons, neurons=has_neurons),
        )
        reduction.add(view, delta, norms)
        if has_neurons:
            reduction.add_neurons(view.rows(offset.base), view.rows(offset.aligned))
        block.add(offset, delta)


class NonfiniteRowsError(Exception):
    """Rows are NaN or infinite, so that their unit is not written; the caller names the unit."""


@dataclass(frozen=True, eq=False)
class _BlockBuilder:
    """The rows of one position in one batch; stored rows are copied to the host place by place."""

    view: RowView
    stored: Bool[np.ndarray, " rows"]
    dtype: str
    copies: HostCopies
    rows: dict[Place, Tensor] = field(default_factory=dict)
    base: dict[Place, Tensor] = field(default_factory=dict)
    _selections: dict[torch.device, _RowSelection] = field(default_factory=dict)

    def on(self, device: torch.device) -> RowView:
        """Return the view for rows on a device; a model may be spread over several."""
        return self._selection(device).view

    def add(self, offset: Offset, delta: Float32[Tensor, "rows d"]) -> None:
        """Start the copies of the stored rows of a place, and of the reservoir's base rows."""
        import torch

        selection = self._selection(delta.device)
        if self.stored.any():
            rows = _select(delta, selection.stored).to(getattr(torch, self.dtype))
            self.rows[offset.place] = self.copies.add(rows)
        if self.view.reservoir.any():
            self.base[offset.place] = self.copies.add(selection.base(offset.base))

    def _selection(self, device: torch.device) -> _RowSelection:
        if device not in self._selections:
            self._selections[device] = _RowSelection(
                self.view.on(device),
                _indices(self.stored, device),
                _indices(self.view.reservoir, device),
            )
        return self._selections[device]

    def build(self) -> RowBlock:
        """Return the stored rows, complete on the host when the writer thread reads them."""
        return RowBlock(
            label=self.view.position.label,
            tokens=self.view.tokens[self.stored],
            reservoir=self.view.reservoir[self.stored],
            rows=self.rows,
            base=self.base,
        )


@dataclass(frozen=True, eq=False)
class _RowSelection:
    """A view on a device, and indices of the rows that leave the device; None for all rows."""

    view: RowView
    stored: Int64[Tensor, " stored"] | None
    reservoir: Int64[Tensor, " reservoir"] | None

    def base(self, gathered: Float32[Tensor, "gathered d"]) -> Float32[Tensor, "reservoir d"]:
        """Select the reservoir's rows of a gathered tensor."""
        chosen = self.view.chosen
        if self.view.pooling is not None or chosen is None:
            return _select(self.view.rows(gathered), self.reservoir)
        # From all gathered rows at once: a position may have far more rows than its reservoir.
        return gathered.index_select(0, _select(chosen, self.reservoir))


def _indices(
    mask: Bool[np.ndarray, " rows"], device: torch.device
) -> Int64[Tensor, " chosen"] | None:
    import torch

    return None if mask.all() else to_device(torch.from_numpy(np.flatnonzero(mask)), device)


def _select(rows: Tensor, indices: Tensor | None) -> Tensor:
    return rows if indices is None else rows.index_select(0, indices)


def _norms(rows: Float[Tensor, "rows d"]) -> Float[Tensor, " rows"]:
    import torch

    norms: Tensor = torch.linalg.vector_norm(rows, dim=1)
    return norms


def _require_finite(summaries: dict[str, GroupSummary]) -> None:
    for prefix, summary in summaries.items():
        if summary.num_nonfinite:
            raise NonfiniteRowsError(f"{summary.num_nonfinite} rows at {prefix.rstrip('.')}")
