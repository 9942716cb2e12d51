"""The difference of a matrix from its start as two thin ones, where they hold it closely enough.

The error of what is put together from them, in Frobenius norm, is at most 1e-6 of the weights, and
at most 1e-3 of the difference itself, so that a small difference is not lost in the first (never
less than 1e-7 of the weights, which is fp32's own rounding). Full-parameter training of a few steps
with Adam is not low rank; then there are none, and a proof of that is found at little cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.models.weight_difference import add_product

if TYPE_CHECKING:
    from torch import Tensor

OF_WEIGHTS = 1e-6
"""Largest error, as a share of the norm of the weights."""
OF_DIFFERENCE = 1e-3
"""Largest error, as a share of the norm of the difference."""
ROUNDING = 1e-7
"""Share of the norm of the weights below which no error is asked for: fp32 rounds by half of it."""
MOST_SHARE = 0.1
"""Largest size of both factors, as a share of the matrix."""
_SPARE = 8
"""Directions sampled beyond the largest rank, so that the first ones are found well."""
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Factors:
    """Two thin matrices whose product is a difference."""

    left: Tensor
    """Shape [rows, rank], fp32."""
    right: Tensor
    """Shape [rank, columns], fp32."""
    error: float
    """Norm of what is put together less the weights, as a share of the norm of the weights."""


def factors_of(before: Tensor, after: Tensor) -> Factors | None:
    """Return factors of `after - before`; None where no two thin ones hold it.

    Args:
        before: weights of the start, [rows, columns], fp32.
        after: weights now, of the same shape.
    """
    import torch

    rows, columns = after.shape
    most = int(MOST_SHARE * rows * columns / (rows + columns))
    if most < 1:
        return None
    difference = after.double() - before.double()
    norm = float(after.double().norm())
    allowed = min(OF_WEIGHTS * norm, max(OF_DIFFERENCE * float(difference.norm()), ROUNDING * norm))
    if _tail_of_part(difference, most) > allowed:
        return None
    generator = torch.Generator().manual_seed(_SEED)
    width = min(most + _SPARE, rows, columns)
    sample = torch.randn(columns, width, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(difference @ sample).Q
    basis = torch.linalg.qr(difference @ (difference.T @ basis)).Q
    inner = basis.T @ difference
    left, scale, right = torch.linalg.svd(inner, full_matrices=False)
    outside = max(0.0, float(difference.square().sum() - inner.square().sum()))
    rank = _least_rank(scale, outside, allowed)
    if rank > most:
        return None
    thin_left = (basis @ left[:, :rank] * scale[:rank]).float().contiguous()
    thin_right = right[:rank].float().contiguous()
    together = add_product(before, thin_left, thin_right)
    error = float((together.double() - after.double()).norm())
    if error > allowed:
        return None
    return Factors(left=thin_left, right=thin_right, error=error / norm)


def _tail_of_part(difference: Tensor, rank: int) -> float:
    """Return a lower bound of the error of every approximation of this rank.

    That is the norm of the singular values beyond it of a part of the matrix: they are no larger
    than those of the whole (interlacing), whose tail is the least error there is (Eckart-Young).
    """
    import torch

    places = [
        torch.linspace(0, size - 1, min(2 * rank + _SPARE, size)).round().long()
        for size in difference.shape
    ]
    part = difference[places[0]][:, places[1]]
    return float(torch.linalg.svdvals(part)[rank:].norm())


def _least_rank(scale: Tensor, outside: float, allowed: float) -> int:
    """Return the least rank whose error is allowed; one beyond all where none is.

    Args:
        scale: singular values, largest first.
        outside: squared norm of what they do not hold.
        allowed: norm of the error.
    """
    squares = scale.square().flip(0).cumsum(0).flip(0)  # of this one and all smaller ones
    within = (squares + outside <= allowed**2).nonzero()
    return max(1, int(within[0])) if len(within) else len(scale) + (outside > allowed**2)
