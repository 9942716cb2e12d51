"""Tridiagonal form of a symmetric matrix: one reduction for the spectra of A and of A + m m^T.

Centred rows give A, rows as they are A + m m^T, where m is their mean times the root of their
number. The reduction is nearly all of the cost of a spectrum. `docs/explanation/spectra.md` derives
why both share it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

LARGE = 256
"""Size of a matrix from which on its reduction is held to one thread.

At 2,048 on an idle machine of two cores two threads took 0.46 s, one 0.49 s; with other work on it
3 to 20 s against 1 s, as the threads wait for each other at every column.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tridiagonal:
    """A = H Q T Q^T H: T tridiagonal, Q orthogonal, Q e1 = e1, H the reflection of m onto e1."""

    diagonal: Float64[np.ndarray, " n"]
    """Diagonal of T."""
    beside: Float64[np.ndarray, " m"]
    """Off-diagonal of T; m = n - 1."""
    reflectors: Float64[np.ndarray, "m m"]
    """Householder vectors of Q in the form of LAPACK's dsytrd, without the first coordinate."""
    scales: Float64[np.ndarray, " m"]
    """Scalar factors of the Householder vectors."""
    mirror: Float64[np.ndarray, " n"] | None
    """The vector v of H = I - v v^T; None where there was no m to turn."""
    added: float
    """Squared norm of m, added to the first entry of the diagonal."""
    first: int = 0
    """Rows and columns of T left out at the start: 1 for the matrix without its first, else 0."""

    @classmethod
    def of(
        cls, matrix: Float64[np.ndarray, "n n"], direction: Float64[np.ndarray, " n"] | None
    ) -> Tridiagonal:
        """Reduce a matrix A.

        Args:
            matrix: lower half of A, in Fortran's order; it is overwritten.
            direction: m; None where only the spectrum of A is wanted.

        Returns:
            The tridiagonal form of H A H.
        """
        from scipy.linalg import blas, lapack

        mirror, added = None, 0.0
        if direction is not None and direction.any():
            added = float(direction @ direction)
            mirror = find_mirror(direction / added**0.5)
            image = blas.dsymv(1.0, matrix, mirror, lower=1)
            image -= 0.5 * (mirror @ image) * mirror
            matrix = blas.dsyr2(-1.0, mirror, image, a=matrix, lower=1, overwrite_a=1)
        size = int(lapack.dsytrd_lwork(len(matrix), lower=1)[0])
        with _one_thread() if len(matrix) >= LARGE else nullcontext():
            reduced, diagonal, beside, scales, info = lapack.dsytrd(
                matrix, lower=1, lwork=max(size, 1), overwrite_a=1
            )
        assert info == 0, f"dsytrd: argument {-info}"
        reflectors = reduced[1:, :-1]
        return cls(
            diagonal=diagonal,
            beside=beside[: len(diagonal) - 1],
            reflectors=reflectors,
            scales=scales[: len(diagonal) - 1],
            mirror=mirror,
            added=added,
        )

    def without_first(self) -> Tridiagonal:
        """Return the form of the matrix without its first row and column; there must be no m."""
        assert self.mirror is None and self.first == 0
        return replace(self, first=1)

    def eigenvalues(self, with_direction: bool) -> Float64[np.ndarray, " rank"]:
        """Return the eigenvalues of A, or of A + m m^T, that are not zero, largest first."""
        from scipy.linalg import eigvalsh_tridiagonal

        diagonal, beside = self._form(with_direction)
        if len(diagonal) < 2:
            values = diagonal
        else:
            values = eigvalsh_tridiagonal(diagonal, beside, lapack_driver="sterf")[::-1]
        return np.asarray(values[values > _tolerance(values)])

    def axes(self, with_direction: bool, wanted: int) -> Float64[np.ndarray, "n k"]:
        """Return the eigenvectors of the `wanted` largest eigenvalues, which must not be zero."""
        from scipy.linalg import eigh_tridiagonal

        diagonal, beside = self._form(with_direction)
        size = len(diagonal)
        if wanted == 0:
            return np.zeros((len(self.diagonal), 0))
        if size == 1:
            vectors = np.ones((1, 1))
        else:
            _, vectors = eigh_tridiagonal(
                diagonal, beside, select="i", select_range=(size - wanted, size - 1)
            )
        lifted = np.zeros((len(self.diagonal), wanted))
        lifted[self.first :] = vectors[:, ::-1]
        return self._back(lifted)

    def _form(
        self, with_direction: bool
    ) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " m"]]:
        diagonal = self.diagonal[self.first :].copy()
        if with_direction:
            diagonal[0] += self.added
        return diagonal, self.beside[self.first :]

    def _back(self, vectors: Float64[np.ndarray, "n k"]) -> Float64[np.ndarray, "n k"]:
        """Turn eigenvectors of T into those of the matrix: H Q times them."""
        from scipy.linalg import lapack

        if len(vectors) > 1:
            below = np.asfortranarray(vectors[1:])
            work = max(1, 64 * vectors.shape[1])
            turned, _, info = lapack.dormqr("L", "N", self.reflectors, self.scales, below, work)
            assert info == 0, f"dormqr: argument {-info}"
            vectors = np.concatenate([vectors[:1], turned])
        if self.mirror is not None:
            vectors = vectors - np.outer(self.mirror, self.mirror @ vectors)
        return np.asarray(vectors)


def _one_thread() -> AbstractContextManager[object]:
    limit: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limit


@cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def find_mirror(unit: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Find v of the reflection H = I - v v^T that turns a unit vector onto e1, up to its sign."""
    mirror = unit.copy()
    mirror[0] += 1.0 if unit[0] >= 0 else -1.0
    return np.asarray(mirror * (np.sqrt(2.0) / np.linalg.norm(mirror)))


def symmetrize(matrix: Float64[np.ndarray, "n n"]) -> Float64[np.ndarray, "n n"]:
    """Return the mean of a matrix and its transpose, in Fortran's order."""
    return np.asfortranarray((matrix + matrix.T) / 2)


def _tolerance(values: Float64[np.ndarray, " k"]) -> float:
    """Return the size up to which an eigenvalue is rounding (the rule of numpy's matrix_rank)."""
    if len(values) == 0:
        return 0.0
    return float(max(values.max(), 0.0) * len(values) * np.finfo(np.float64).eps)
