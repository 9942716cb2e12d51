"""The population's eigenvalues behind a curve of degrees of freedom.

Every spectrum that fits the curve would do: the smoothest is the estimate, the sparsest one that
fits as well says how far the rows determine it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from analysis.rows.freedom import FreedomCurve, FreedomCurves
from analysis.rows.smoothest_fits import Duals

GRID_SIZE = 100
"""Eigenvalues that a spectrum may have, evenly spaced in their logarithm."""
ACCURACY = 0.003
"""Relative error of the points of a curve that a fit allows for."""
CONSERVED = 0.001
"""The same of the trace and of the number of directions."""
ZERO_SHARE = 1e-3
"""Share of directions without variance that is expected beforehand."""
NEGLIGIBLE = 1e-4
"""Share of the variance below which it is not asked how many directions hold it. One direction may
hold nearly all, as a common offset does about zero: a fit cannot span so many decades, and what is
left moves no number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PopulationSpectrum:
    """Eigenvalues over their sum, largest first, and how many there are of each."""

    shares: Float64[np.ndarray, " k"]
    """Eigenvalues over their sum: each is the share of one direction."""
    numbers: Float64[np.ndarray, " k"]
    """Number of directions of each, not whole; the products with `shares` sum to 1."""

    @classmethod
    def of(cls, shares: np.ndarray, numbers: np.ndarray) -> PopulationSpectrum:
        """Make one of eigenvalues of any scale, in falling order."""
        kept = numbers > 0
        scale = float((shares[kept] * numbers[kept]).sum())
        return cls(shares=shares[kept] / scale, numbers=numbers[kept])

    @property
    def entropy(self) -> float:
        """Return the entropy in nats."""
        return float(-(self.shares * self.numbers * np.log(self.shares)).sum())

    def count(self, share: float) -> float:
        """Return how many leading directions hold a share, the last one in part."""
        reached = np.concatenate([[0.0], np.cumsum(self.shares * self.numbers)])
        counts = np.concatenate([[0.0], np.cumsum(self.numbers)])
        return float(np.interp(share, reached / reached[-1], counts))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Equations:
    """What a spectrum must fulfil: matrix times the variance of each eigenvalue is wanted."""

    grid: Float64[np.ndarray, " k"]
    """Eigenvalues over the trace, falling."""
    matrix: Float64[np.ndarray, "equations k_and_zero"]
    """Points of the curve, the trace, the number of directions; last column: those without."""
    wanted: Float64[np.ndarray, " equations"]
    """Right-hand sides, all 1."""
    errors: Float64[np.ndarray, " equations"]
    """Their accuracy."""

    @classmethod
    def of(cls, curve: FreedomCurve) -> _Equations:
        finest = curve.dimension / NEGLIGIBLE
        kept = curve.scales * curve.trace < finest
        scales = (curve.scales * curve.trace)[kept]
        least = 0.02 / max(float(scales.max(initial=0.0)), curve.dimension)
        grid = np.geomspace(1.0, least, GRID_SIZE)
        points = (scales / (1 + grid[:, None] * scales) / curve.freedom[kept]).T
        matrix = np.zeros((len(points) + 2, GRID_SIZE + 1))
        matrix[:-2, :-1] = points
        matrix[-2, :-1] = 1.0
        matrix[-1, :-1] = 1 / (grid * curve.dimension)
        matrix[-1, -1] = 1.0
        errors = np.full(len(matrix), ACCURACY)
        errors[-2:] = CONSERVED
        return cls(grid=grid, matrix=matrix, wanted=np.ones(len(matrix)), errors=errors)


def smoothest(curve: FreedomCurve) -> PopulationSpectrum | None:
    """Fit the spectrum of largest entropy over the logarithm of eigenvalues.

    Returns:
        The spectrum; None where the fit does not end.
    """
    return smoothest_of([curve])[0]


def smoothest_of(curves: Sequence[FreedomCurve]) -> list[PopulationSpectrum | None]:
    """Fit the smoothest spectrum of each curve: faster together, faster yet where they are alike.

    All start from the fit of the first one.

    Returns:
        The spectrum of each; None where the fit does not end.
    """
    problems = [_Equations.of(curve) for curve in curves]
    shape = len(problems), max(len(problem.wanted) for problem in problems)
    matrix, wanted, errors = np.zeros((*shape, GRID_SIZE + 1)), np.zeros(shape), np.ones(shape)
    for number, problem in enumerate(problems):
        # At the end: the trace and the number of directions, which all sets have, come last.
        rows = number, slice(-len(problem.wanted), None)
        matrix[rows], wanted[rows], errors[rows] = problem.matrix, problem.wanted, problem.errors
    prior = np.append(np.full(GRID_SIZE, 1 / GRID_SIZE), ZERO_SHARE)
    duals = Duals(matrix=matrix, wanted=wanted, errors=errors, prior=prior)
    return [
        None
        if np.isnan(variances).any()
        else PopulationSpectrum.of(problem.grid, variances[:-1] / problem.grid)
        for problem, variances in zip(problems, duals.solve_alike(), strict=True)
    ]


def sparsest(curve: FreedomCurve) -> PopulationSpectrum:
    """Fit by non-negative least squares: as few eigenvalues as there are equations, or fewer."""
    from scipy.optimize import nnls

    problem = _Equations.of(curve)
    weights = problem.errors.min() / problem.errors
    variances, _ = nnls(problem.matrix * weights[:, None], problem.wanted * weights, maxiter=5000)
    return PopulationSpectrum.of(problem.grid, variances[:-1] / problem.grid)


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """What rows tell of the eigenvalues of their population."""

    spectrum: PopulationSpectrum
    """The estimate."""
    rival: PopulationSpectrum
    """Another spectrum that fits the same rows."""
    num_rows: float
    """Number of independent rows that would tell as much."""
    shape: float
    """Shape of the law of the rows' weights (`row_weights.py`)."""
    left_out: Sequence[PopulationSpectrum | None]
    """The estimate without each group; None where no rows tell it."""
    curves: FreedomCurves
    """Curves of the rows that the estimated spectrum is fitted to."""
    counts: Float64[np.ndarray, " groups"]
    """Rows of each group."""

    @classmethod
    def of(cls, curves: FreedomCurves, counts: Float64[np.ndarray, " groups"]) -> Population | None:
        """Fit spectra to curves; None where no spectrum fits the curve of all rows."""
        spectrum = smoothest(curves.whole) if curves.whole.is_usable else None
        if spectrum is None:
            return None
        usable = [curve for curve in curves.left_out if curve.is_usable]
        fits = iter(smoothest_of([curves.whole, *usable])[1:])
        left_out = [next(fits) if curve.is_usable else None for curve in curves.left_out]
        return cls(
            spectrum=spectrum,
            rival=sparsest(curves.whole),
            num_rows=curves.num_rows,
            shape=curves.shape,
            left_out=left_out,
            curves=curves,
            counts=counts,
        )

    @cached_property
    def moved(self) -> tuple[Sequence[PopulationSpectrum], Float64[np.ndarray, "draws groups"]]:
        """Fits to the curve moved by as much as chance moves it, and each group's sign in each.

        A number that depends on the spectrum in steps moves more without one group of 20 than a
        twentieth of what it moves in all, and its jackknife is too wide. So the jackknife is of
        the curve, whose points are smooth: each group's part of their error is added or
        subtracted, in the balanced signs of a Hadamard matrix (McCarthy 1969, *Pseudo-replication:
        half samples*). Of a linear number this is the jackknife. No fits where some curve has
        none.
        """
        from scipy.linalg import hadamard

        counts = self.counts
        signs = hadamard(1 << len(counts).bit_length(), dtype=float)[:, 1 : len(counts) + 1]
        curves = self.curves
        if not (curves.left_out and all(curve.is_usable for curve in curves.left_out)):
            return [], signs
        whole = curves.whole.logarithms
        left_out = np.stack([curve.logarithms for curve in curves.left_out])
        inverse_share = (counts.sum() / counts)[:, None]
        pseudo = inverse_share * whole - (inverse_share - 1) * left_out
        apart = pseudo - (pseudo / inverse_share).sum(axis=0)
        errors = apart / np.sqrt((inverse_share - 1) * len(counts))
        moved = [curves.whole.moved(move) for move in signs @ errors]
        spectra = smoothest_of([curves.whole, *moved])[1:]
        told = [spectrum for spectrum in spectra if spectrum is not None]
        return told if len(told) == len(spectra) else [], signs
