"""How many directions do the rows resolve? The effective degrees of freedom of the population.

With covariance S of the rows and a ridge z, tr S (S + z)^-1 counts the directions that the ridge
leaves. For rows of a population covariance C it is close to D(v) = tr vC (1 + vC)^-1 at some v: the
curve D is a number of the population alone, and v follows from what prompt groups that did not
enter S have along it. `docs/explanation/spectra.md` derives both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from analysis.rows.row_weights import find_shape

NUM_RIDGES = 12
"""Points of a curve."""
RESOLVED = 0.9
"""Share of the degrees of freedom up to which a curve goes: beyond it noise is all there is."""
MOST_ROWS = 2304
"""Rows up to which every group's part is taken out exactly, in matrices of rows by rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FreedomCurve:
    """Points of D(v), and the trace of C in the same units."""

    freedom: Float64[np.ndarray, " ridges"]
    """D(v), rising."""
    scales: Float64[np.ndarray, " ridges"]
    """v: eigenvalues well above 1 / v are counted in D(v), those well below are not."""
    trace: float
    """Trace of C."""
    dimension: int
    """The most directions there can be."""

    @property
    def is_usable(self) -> bool:
        """Return whether all points and the trace are finite and positive."""
        parts = np.array([*self.freedom, *self.scales, self.trace])
        return bool(np.isfinite(parts).all() and (parts > 0).all())

    @property
    def logarithms(self) -> Float64[np.ndarray, " numbers"]:
        """Return the logarithm of every number of the curve."""
        return np.asarray(np.log([*self.freedom, *self.scales, self.trace]))

    def moved(self, logarithms: Float64[np.ndarray, " numbers"]) -> FreedomCurve:
        """Return the curve with something added to `logarithms`."""
        freedom, scales, trace = np.split(
            np.exp(self.logarithms + logarithms), [len(self.freedom), 2 * len(self.freedom)]
        )
        return replace(self, freedom=freedom, scales=scales, trace=float(trace[0]))


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupedRows:
    """Rows X of all prompt groups through the eigenvectors V of X^T X: Y = X V.

    The last row of each group is sqrt(n_g) times its mean; the others make up its scatter.
    """

    rotated: Float64[np.ndarray, "rows rank"]
    """Y, group after group."""
    eigenvalues: Float64[np.ndarray, " rank"]
    """Those of X^T X, above 0."""
    owners: Int64[np.ndarray, " rows"]
    """Place of the group of each row."""
    counts: Float64[np.ndarray, " groups"]
    """True number of rows of each group."""
    squares: Float64[np.ndarray, " groups"]
    """Squared norm of each group's part of X."""
    centred: bool
    """True where the rows X are taken about their mean, else about zero."""
    dimension: int
    """The most directions there can be."""

    @property
    def places(self) -> Sequence[slice]:
        """Return where each group's rows are."""
        ends = np.searchsorted(self.owners, np.arange(len(self.counts) + 1))
        return [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]

    @property
    def members(self) -> Int64[np.ndarray, "groups k"]:
        """Return the numbers of each group's rows, with -1 up to the size of the largest."""
        places = self.places
        size = max(place.stop - place.start for place in places)
        numbers = np.full((len(places), size), -1)
        for group, place in enumerate(places):
            numbers[group, : place.stop - place.start] = np.arange(place.start, place.stop)
        return numbers

    @property
    def unit(self) -> Float64[np.ndarray, " rows"]:
        """Return the unit vector that centred rows have no part of; zeros where not centred."""
        unit = np.zeros(len(self.owners))
        if self.centred:
            last = [place.stop - 1 for place in self.places]
            unit[last] = np.sqrt(self.counts / self.counts.sum())
        return unit


def choose_ridges(
    eigenvalues: Float64[np.ndarray, " rank"], degrees: float
) -> Float64[np.ndarray, " ridges"]:
    """Return the ridges of a curve, falling; empty where rows are too few for any.

    Args:
        eigenvalues: of X^T X of all rows, above 0.
        degrees: the fewest rows that are left without a group, less one if about their mean.
    """
    from scipy.optimize import brentq

    most = RESOLVED * min(len(eigenvalues), degrees)
    if most <= 0.5:
        return np.zeros(0)
    top = float(eigenvalues.max())

    def excess(logarithm: float) -> float:
        return float((1 / (1 + np.exp(logarithm) / eigenvalues)).sum() - most)

    least = float(np.exp(brentq(excess, np.log(top) - 60, np.log(top) + 20)))
    return np.geomspace(10 * max(top, least), least, NUM_RIDGES)


@dataclass(frozen=True, kw_only=True, eq=False)
class FreedomCurves:
    """The curve of all groups, and that without each."""

    whole: FreedomCurve
    """The curve of all rows."""
    left_out: Sequence[FreedomCurve]
    """The curve without each group; empty where groups are too few."""
    num_rows: float
    """Number of independent rows that would resolve as much: of those v z = N - D."""
    shape: float
    """Shape of the law of the rows' weights (`row_weights.py`)."""

    @classmethod
    def of(
        cls, whole: FreedomCurve, left_out: Sequence[FreedomCurve], degrees: float, ridge: float
    ) -> FreedomCurves:
        """Tell from the last point of the curve of all rows how they differ from independent ones.

        Args:
            whole: the curve of all rows.
            left_out: those without each group.
            degrees: number of rows, less one where they are about their mean.
            ridge: z of the last point.
        """
        freedom, ratio = float(whole.freedom[-1]), float(whole.scales[-1]) * ridge / degrees
        return cls(
            whole=whole,
            left_out=left_out,
            num_rows=freedom / max(1 - ratio, freedom / max(degrees, freedom)),
            shape=find_shape(freedom / degrees, ratio),
        )


class _Tally:
    """Degrees of freedom and held-out energies at one ridge, for pairs of groups.

    Entry [g, h]: group g judged by the rows of all groups but g and h; on the diagonal by all
    groups but g.
    """

    def __init__(self, rows: GroupedRows, ridge: float) -> None:
        num_groups = len(rows.counts)
        shape = num_groups, num_groups
        self.freedom, self.energies = np.full(shape, np.nan), np.full(shape, np.nan)
        scaled = rows.rotated / np.sqrt(rows.eigenvalues + ridge)
        unit = rows.unit
        inverse = -(scaled @ scaled.T) - np.multiply.outer(unit, unit)
        inverse[np.diag_indices_from(inverse)] += 1.0
        inverse /= ridge  # of X X^T + z, without the direction of the mean
        square = inverse @ inverse.T  # it is symmetric: BLAS makes half of such a product
        members = rows.members
        first, second = np.triu_indices(num_groups, 1)
        for pairs in (np.arange(num_groups)[:, None], np.stack([first, second], axis=1)):
            if len(pairs) == 0:
                continue
            self._judge(rows, ridge, inverse, square, pairs, members[pairs].reshape(len(pairs), -1))

    def _judge(
        self,
        rows: GroupedRows,
        ridge: float,
        inverse: Float64[np.ndarray, "rows rows"],
        square: Float64[np.ndarray, "rows rows"],
        removed: Int64[np.ndarray, "sets members"],
        at: Int64[np.ndarray, "sets k"],
    ) -> None:
        """Judge the groups of each set by the rows of all others (Schur's complement)."""
        left = rows.counts.sum() - rows.counts[removed].sum(axis=1)
        absent = at < 0  # filled up to the largest group: rows that are zero change nothing
        outside = absent[:, :, None] | absent[:, None, :]
        diagonal = np.arange(at.shape[1])

        def block(matrix: np.ndarray, of_zero: float) -> np.ndarray:
            part = np.where(outside, 0.0, matrix[at[:, :, None], at[:, None, :]])
            part[:, diagonal, diagonal] += np.where(absent, of_zero, 0.0)
            return part

        schur = np.linalg.inv(block(inverse, 1 / ridge))
        gone = np.einsum("sij,sji->s", schur, block(square, ridge**-2)) - absent.sum(1) / ridge
        num_left = len(rows.owners) - (~absent).sum(axis=1) - rows.centred
        freedom = num_left - ridge * (np.trace(inverse) - gone)
        parts = np.einsum("sii->si", schur).reshape(*removed.shape, -1).sum(axis=2) / ridge
        shift = rows.centred / np.maximum(left, 1.0)[:, None]  # of the mean of the rows left
        size = at.shape[1] // removed.shape[1]
        energies = (parts - size - rows.counts[removed] * shift) / (1 + shift)
        usable = left > rows.centred
        for place in range(removed.shape[1]):
            own, other = removed[usable, place], removed[usable, -1 - place]
            self.freedom[own, other] = freedom[usable]
            self.energies[own, other] = energies[usable, place]


def exact_curves(rows: GroupedRows, ridges: Float64[np.ndarray, " ridges"]) -> FreedomCurves:
    """Return the curves of rows, with and without each of at least two groups."""
    num_groups = len(rows.counts)
    tallies = [_Tally(rows, float(ridge)) for ridge in ridges]
    freedom = np.stack([tally.freedom for tally in tallies])
    energies = np.stack([tally.energies for tally in tallies])
    traces = _held_out_squares(rows)

    def curve(chosen: np.ndarray, others: np.ndarray) -> FreedomCurve:
        count = rows.counts[chosen].sum()
        mean = freedom[:, chosen, others].mean(axis=1)
        energy = energies[:, chosen, others].sum(axis=1) / count
        # Where a group holds all there is, nothing is left to divide by: such a curve is of no use.
        with np.errstate(divide="ignore", invalid="ignore"):
            scales = mean / (ridges * energy)
        return FreedomCurve(
            freedom=mean,
            scales=scales,
            trace=float(traces[chosen, others].sum() / count),
            dimension=rows.dimension,
        )

    numbers = np.arange(num_groups)
    left_out = []
    if num_groups > 2:
        for group in numbers:
            rest = numbers[numbers != group]
            left_out.append(curve(rest, np.full(len(rest), group)))
    whole = curve(numbers, numbers)
    left = rows.counts.sum() * (1 - 1 / num_groups) - rows.centred
    return FreedomCurves.of(whole, left_out, float(left), float(ridges[-1]))


def _held_out_squares(rows: GroupedRows) -> Float64[np.ndarray, "groups groups"]:
    """Return squared norms of each group's rows about the mean of the rows left, as `_Tally`.

    Of single rows about a mean that they did not enter the square is too large by 1 / N.
    """
    if not rows.centred:
        return np.repeat(rows.squares[:, None], len(rows.counts), axis=1)
    last = [place.stop - 1 for place in rows.places]
    sums = rows.rotated[last] * np.sqrt(rows.counts)[:, None]
    left = rows.counts.sum() - rows.counts[:, None] - rows.counts
    np.fill_diagonal(left, rows.counts.sum() - rows.counts)
    products = sums @ sums.T
    own = np.diag(products)
    # About -(s_g + s_h) / N_left: |x - m|^2 summed over the group's rows.
    both = own[:, None] + own + 2 * products
    cross = own[:, None] + products
    np.fill_diagonal(both, own)
    np.fill_diagonal(cross, own)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = rows.squares[:, None] + 2 * cross / left
        squares += rows.counts[:, None] * both / np.square(left)
        return np.asarray(squares / (1 + 1 / left))


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """What some groups have along the rows of all others, at some ridges."""

    energies: Float64[np.ndarray, "folds points"]
    """x^T (S + z)^-1 x summed over the rows of a group, S the scatter of all other groups."""
    squares: Float64[np.ndarray, " folds"]
    """Their squared norm, about the same mean."""
    groups: Int64[np.ndarray, " folds"]
    """Places of the groups."""


def held_out(rows: GroupedRows, ridges: Float64[np.ndarray, " points"]) -> HeldOut:
    """Judge every group by all others, without decomposing anything again."""
    num_groups = len(rows.counts)
    energies = np.zeros((num_groups, len(ridges)))
    unit, left = rows.unit, rows.counts.sum() - rows.counts
    for group, place in enumerate(rows.places):
        part, along = rows.rotated[place], unit[place]
        shift = rows.centred / left[group]
        filtered = part / (rows.eigenvalues + ridges[:, None, None])
        inverses = np.linalg.inv(np.eye(len(part)) - np.outer(along, along) - filtered @ part.T)
        beyond = np.einsum("pii->p", inverses) - len(part) - rows.counts[group] * shift
        energies[group] = beyond / (1 + shift)
    return HeldOut(
        energies=energies,
        squares=np.diag(_held_out_squares(rows)).copy(),
        groups=np.arange(num_groups),
    )


def followed_curves(
    folds: HeldOut,
    ridges: Float64[np.ndarray, " ridges"],
    points: Int64[np.ndarray, " points"],
    eigenvalues: Sequence[Float64[np.ndarray, " _"]],
    degrees: Float64[np.ndarray, " leave"],
    dimension: int,
) -> FreedomCurves:
    """Return curves of many rows: how v z / N falls with D / N is found once and used for all.

    That ratio, 1 - D / N for independent rows, tells how alike rows are (those of a prompt, those
    of unequal length); the population hardly enters. So groups are not taken out in pairs.

    Args:
        folds: groups judged by all others at some of the ridges.
        ridges: of the curves.
        points: numbers of the ridges of `folds`.
        eigenvalues: of X^T X of all rows, then without each group.
        degrees: number of rows of each of these, less one where they are about their mean.
        dimension: the most directions there can be.
    """
    freedom = np.stack(
        [(values[:, None] / (values[:, None] + ridges)).sum(axis=0) for values in eigenvalues]
    )
    traces = np.array([float(values.sum()) for values in eigenvalues]) / degrees
    learned = folds.groups + 1
    # Nothing is resolved by a ridge of any size: the ratio is 1 there.
    scale = float(folds.squares.sum() / traces[learned].mean())
    load = freedom[learned][:, points].mean(axis=0) / degrees[learned].mean()
    ratio = load / (folds.energies.sum(axis=0) / scale)
    loads, ratios = np.append(0.0, load), np.append(1.0, ratio)
    curves = [
        FreedomCurve(
            freedom=freedom[place],
            scales=degrees[place]
            * np.interp(freedom[place] / degrees[place], loads, ratios)
            / ridges,
            trace=float(traces[place]),
            dimension=dimension,
        )
        for place in range(len(eigenvalues))
    ]
    return FreedomCurves.of(curves[0], curves[1:], float(degrees[0]), float(ridges[-1]))
