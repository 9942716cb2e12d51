"""`Reduction`: the rows of one place and position in one unit, summed on their device.

Products are fp32 of rows centred within their batch, added up in fp64; batches are joined by the
exact identity of Chan, Golub and LeVeque (1983): M2 = sum of the batches' M2 + sum of
n_b (mean_b - mean)(mean_b - mean)^T.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Float64, Int64

from analysis.rows.directions import DirectionSums
from analysis.rows.histogram import Histogram
from analysis.rows.moments import Moments
from analysis.rows.neurons import NeuronSums
from analysis.rows.summary import GroupSummary
from jobs.models.device import to_device

if TYPE_CHECKING:
    from torch import Tensor

    from jobs.taps.row_views import RowView

ToHost = Callable[["Tensor"], "Tensor"]
"""Hands a tensor over to be copied to the host; the writer thread reads the result afterwards."""

_ROWS_PER_PRODUCT = 2048
"""Rows summed in one fp32 product: keeps its rounding below 1e-6 however large a batch is."""
_BLOCK = {"cpu": 256, "cuda": 1024}
"""Columns of a block of the symmetric product; blocks below the diagonal are not computed. On two
cores 256 columns take 5.0 ms instead of the 6.5 ms of one block at d = 512, and 262 ms instead of
511 ms at d = 4,096 (2,048 rows)."""


class Reduction:
    """Sums the rows of one unit, batch by batch; `finish` returns their summary."""

    def __init__(self, *, dense: bool, neurons: bool) -> None:
        """Sum d x d moments where `dense`, and both models' neurons where `neurons`."""
        self._dense = _ScatterSum() if dense else None
        self._neurons = _NeuronSum() if neurons else None
        self._norms: list[Tensor] = []
        self._base_norms: list[Tensor] = []
        self._prompts: list[np.ndarray] = []
        self._unit_sum: Tensor | None = None
        self._prompt_square: Tensor | None = None

    def add(
        self,
        view: RowView,
        delta: Float32[Tensor, "rows d"],
        norms: tuple[Float32[Tensor, " rows"], Float32[Tensor, " rows"]],
    ) -> None:
        """Add the rows of one batch (whole prompts), with the norms of δ and of base rows."""
        import torch

        delta_norms, base_norms = norms
        self._norms.append(delta_norms)
        self._base_norms.append(base_norms)
        self._prompts.append(view.prompts)
        inverse = torch.where(delta_norms > 0, delta_norms.reciprocal(), 0.0)
        by_prompt = view.prompt_sums(delta, inverse).double()
        square = by_prompt.square().sum()
        if self._unit_sum is None or self._prompt_square is None:
            self._unit_sum, self._prompt_square = by_prompt.sum(dim=0), square
        else:
            self._unit_sum += by_prompt.sum(dim=0)
            self._prompt_square += square
        if self._dense is not None:
            self._dense.add(delta)

    def add_neurons(
        self, base: Float32[Tensor, "rows d"], aligned: Float32[Tensor, "rows d"]
    ) -> None:
        """Add the activations of both models' neurons on the rows of one batch."""
        assert self._neurons is not None, "the place has no neurons"
        self._neurons.add(base, aligned)

    @property
    def nbytes(self) -> int:
        """Bytes of host memory of the d x d moments; the rest of the summary is small."""
        return 0 if self._dense is None else self._dense.nbytes

    def finish(self, to_host: ToHost) -> Callable[[], GroupSummary]:
        """Hand all over to the host; the writer thread calls the result for the summary."""
        import torch

        assert self._unit_sum is not None and self._prompt_square is not None, "no rows"
        norms, base_norms = (to_host(torch.cat(parts)) for parts in (self._norms, self._base_norms))
        prompts = np.concatenate(self._prompts)
        directions = to_host(torch.cat([self._unit_sum, self._prompt_square[None]]))
        moments = self._dense.finish(to_host) if self._dense is not None else None
        neurons = self._neurons.finish(to_host) if self._neurons is not None else None
        return lambda: _summarise(
            norms.double().numpy(),
            base_norms.double().numpy(),
            prompts,
            directions.numpy(),
            moments() if moments else None,
            neurons() if neurons else None,
        )


class _ScatterSum:
    """Mean and centred d x d scatter of rows, batch by batch."""

    def __init__(self) -> None:
        self._scatter: Tensor | None = None
        self._counts: list[int] = []
        self._centres: list[Tensor] = []
        self._residues: list[Tensor] = []

    def add(self, rows: Float32[Tensor, "rows d"]) -> None:
        import torch

        if self._scatter is None:
            d = rows.shape[1]
            self._scatter = torch.zeros(d, d, dtype=torch.float64, device=rows.device)
        for part in torch.split(rows, _ROWS_PER_PRODUCT):
            centre = part.mean(dim=0)
            centred = part - centre
            self._counts.append(len(part))
            self._centres.append(centre)
            # The mean that a rounded centre leaves is corrected exactly at the end.
            self._residues.append(centred.sum(dim=0, dtype=torch.float64))
            _add_product(self._scatter, centred)

    @property
    def nbytes(self) -> int:
        return 0 if self._scatter is None else int(self._scatter.nbytes)

    def finish(self, to_host: ToHost) -> Callable[[], Moments]:
        import torch

        assert self._scatter is not None, "no rows"
        counts = to_device(torch.tensor(self._counts, dtype=torch.float64), self._scatter.device)
        residues = torch.stack(self._residues)
        means = torch.stack(self._centres).double() + residues / counts[:, None]
        mean = (counts[:, None] * means).sum(dim=0) / counts.sum()
        between = counts.sqrt()[:, None] * (means - mean)
        within = residues / counts.sqrt()[:, None]
        scatter = _mirror(self._scatter)
        scatter.addmm_(between.T, between).addmm_(within.T, within, alpha=-1.0)
        host_mean, host_scatter = to_host(mean), to_host(scatter)
        num_rows = sum(self._counts)
        return lambda: Moments.from_scatter(num_rows, host_mean.numpy(), host_scatter.numpy())


def _add_product(scatter: Float64[Tensor, "d d"], centred: Float32[Tensor, "rows d"]) -> None:
    """Add C^T C to the upper blocks of `scatter`: fp32 products, fp64 sum."""
    d, block = centred.shape[1], _BLOCK.get(centred.device.type, 1024)
    for start in range(0, d, block):
        stop = min(start + block, d)
        scatter[start:stop, start:] += centred[:, start:stop].T @ centred[:, start:]


def _mirror(upper: Float64[Tensor, "d d"]) -> Float64[Tensor, "d d"]:
    """Fill the blocks below the diagonal of a symmetric matrix."""
    return upper.triu() + upper.triu(1).T


class _NeuronSum:
    """Sums, and sums of squares, of both models' neurons."""

    def __init__(self) -> None:
        self._num_rows = 0
        self._sums: Tensor | None = None

    def add(self, base: Float32[Tensor, "rows d"], aligned: Float32[Tensor, "rows d"]) -> None:
        import torch

        parts = (base, base.square(), aligned, aligned.square())
        sums = torch.stack([part.sum(dim=0, dtype=torch.float64) for part in parts])
        self._num_rows += len(base)
        self._sums = sums if self._sums is None else self._sums + sums

    def finish(self, to_host: ToHost) -> Callable[[], NeuronSums]:
        assert self._sums is not None, "no rows"
        sums, num_rows = to_host(self._sums), self._num_rows
        return lambda: NeuronSums.from_arrays(
            {"sums": sums.numpy(), "num_rows": np.array([num_rows])}
        )


def _summarise(
    norms: Float64[np.ndarray, " rows"],
    base_norms: Float64[np.ndarray, " rows"],
    prompts: Int64[np.ndarray, " rows"],
    directions: Float64[np.ndarray, " d_and_1"],
    moments: Moments | None,
    neurons: NeuronSums | None,
) -> GroupSummary:
    """Make a summary; `directions` holds the sum of unit vectors, then the sum of squares."""
    finite = np.isfinite(norms) & np.isfinite(base_norms)
    num_nonfinite = int(len(norms) - finite.sum())
    finite_norms, has_base = norms[finite], base_norms[finite] > 0
    with_direction = prompts[finite][finite_norms > 0]
    _, counts = np.unique(with_direction, return_counts=True)
    return GroupSummary(
        num_rows=len(finite_norms),
        num_prompts=len(np.unique(prompts[finite])),
        num_nonfinite=num_nonfinite,
        norms=Histogram.from_values(finite_norms),
        relative_norms=Histogram.from_values(finite_norms[has_base] / base_norms[finite][has_base]),
        directions=DirectionSums(
            num_rows=len(with_direction),
            num_zero_rows=len(finite_norms) - len(with_direction),
            unit_sum=directions[:-1],
            prompt_square=float(directions[-1]),
            prompt_count_square=int(np.square(counts).sum()),
        ),
        moments=moments,
        neurons=neurons,
    )
