"""Samples of rows whose population is known: what `benchmarks/coverage.py` draws from.

Two conditions of one model, *plain* and *other*. The covariance of both has the same eigenvalues;
each of the ten leading axes of other is turned by a known angle into an axis of plain's bulk. Their
means have a known cosine. A row is mean + s z, z normal, s = 1, or heavy-tailed (then the rows are
multivariate t). No metric depends on the coordinates, so plain's axes are those of the coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from zlib import crc32

import numpy as np
from jaxtyping import Float64, Int64

from analysis.rows.moments import Moments
from analysis.rows.neurons import NeuronSums
from analysis.rows.scatter import Scatter
from analysis.rows.spectra import NUM_AXES
from analysis.rows.summary import GroupSummary, Reservoir, Sample, ToxicDirections

NUM_GROUPS = 20
SPECTRA = ("flat", "i^-0.7", "i^-1", "i^-1.5", "spiked", "massive")
KINDS = ("one", "clusters", "heavy")
"""One row per prompt; four per prompt that share 30 % of their variance; Student t, 5 degrees."""
ROWS_EACH, SHARED, FREEDOM = 4, 0.3, 5.0
MEAN_LENGTH = 0.5
"""Length of plain's mean over the root of the trace; other's is 0.7 as long."""
MEAN_COSINE, OTHER_LENGTH = 0.6, 0.7
ALIKE = 0.6
"""Correlation of the same prompt's rows in both conditions."""
ANGLES = np.radians(np.linspace(15.0, 75.0, NUM_AXES))
NUM_NEURONS, NUM_TOXIC = 16, 4
FIRING, BASE_OVER_DELTA = 2.5, 3.0
"""Mean of the base's neurons over their spread; the base rows' spread over that of δ."""
DRIFT = {1: 1.0, 2: 0.8, 3: 0.5}
MOST_KEPT = 1024
"""Most rows that are kept one by one."""
NUM_VECTORS = 400


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One place of the grid."""

    d: int
    """Width of a row."""
    rows: int
    """Rows of each condition."""
    spectrum: str
    """One of SPECTRA."""
    kind: str
    """One of KINDS."""

    @property
    def name(self) -> str:
        """Text that identifies it."""
        return f"{self.d}/{self.rows}/{self.spectrum}/{self.kind}"

    def rng(self, draw: int) -> np.random.Generator:
        """Return the source of chance of one draw: the same in every run."""
        return np.random.default_rng([crc32(self.name.encode()), draw])


def eigenvalues(spectrum: str, d: int) -> Float64[np.ndarray, " d"]:
    """Return the eigenvalues of a spectrum, largest first, of sum d."""
    index = np.arange(1.0, d + 1)
    if spectrum == "flat":
        values = np.ones(d)
    elif spectrum == "spiked":
        spikes = 0.8 ** np.arange(NUM_AXES)
        bulk = np.full(d - NUM_AXES, 0.4 / (d - NUM_AXES))
        values = np.concatenate([0.6 * spikes / spikes.sum(), bulk])
    elif spectrum == "massive":
        rest = index[:-1] ** -0.7
        values = np.concatenate([[4 * rest.sum()], rest])
    else:
        values = index ** float(spectrum.removeprefix("i^"))
    return np.asarray(values * (d / values.sum()))


@dataclass(frozen=True, kw_only=True, eq=False)
class Condition:
    """A population of rows."""

    values: Float64[np.ndarray, " d"]
    """Eigenvalues of the covariance, largest first."""
    mean: Float64[np.ndarray, " d"]
    """Its mean."""
    angles: Float64[np.ndarray, " k"]
    """By which leading axis i is turned into axis d / 2 + i."""

    def turn(self, rows: np.ndarray, back: bool = False) -> np.ndarray:
        """Turn rows of coordinates along the axes into rows of the stream, or back."""
        k = len(self.angles)
        half = len(self.values) // 2
        cosines, sines = np.cos(self.angles), np.sin(self.angles) * (-1 if back else 1)
        turned = rows.copy()
        first, second = rows[..., :k], rows[..., half : half + k]
        turned[..., :k] = cosines * first - sines * second
        turned[..., half : half + k] = sines * first + cosines * second
        return turned

    def rows(self, normal: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Make rows of standard normal ones and a factor for each."""
        spread = normal * np.sqrt(self.values).astype(normal.dtype)
        return np.asarray(self.turn(spread) * scale[:, None] + self.mean)

    def energies(
        self, axes: Float64[np.ndarray, "d m"], centred: bool
    ) -> Float64[np.ndarray, " m"]:
        """Return v^T M v for columns v, M the covariance or the second moment about zero."""
        inside = np.square(self.turn(axes.T, back=True)) @ self.values
        return np.asarray(inside if centred else inside + np.square(self.mean @ axes))

    def total(self, centred: bool) -> float:
        """Return the trace of M."""
        return float(self.values.sum() + (0.0 if centred else self.mean @ self.mean))

    def moment(self, centred: bool) -> Float64[np.ndarray, "d d"]:
        """Return M."""
        basis = self.turn(np.eye(len(self.values)))  # a row for each axis
        whole = (basis.T * self.values) @ basis
        return whole if centred else whole + np.outer(self.mean, self.mean)


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """What all draws of a spectrum and width share."""

    d: int
    """Width."""
    spectrum: str
    """One of SPECTRA."""

    @cached_property
    def plain(self) -> Condition:
        """The first condition."""
        values = eigenvalues(self.spectrum, self.d)
        mean = MEAN_LENGTH * np.sqrt(values)
        return Condition(values=values, mean=mean, angles=np.zeros(NUM_AXES))

    @cached_property
    def other(self) -> Condition:
        """The second condition."""
        mean = self.plain.mean
        across = mean * np.where(np.arange(self.d) % 8 < NUM_TOXIC, 1.0, -1.0)
        across -= (across @ mean) / (mean @ mean) * mean
        across *= np.linalg.norm(mean) / np.linalg.norm(across)
        turned = MEAN_COSINE * mean + (1 - MEAN_COSINE**2) ** 0.5 * across
        return Condition(values=self.plain.values, mean=OTHER_LENGTH * turned, angles=ANGLES)

    @cached_property
    def base_spread(self) -> Float64[np.ndarray, " d"]:
        """Standard deviations of the base's rows, which are independent of δ."""
        return np.asarray(BASE_OVER_DELTA * np.sqrt(self.plain.values))

    @cached_property
    def firing(self) -> Float64[np.ndarray, " n"]:
        """Mean activations of the base's neurons."""
        return np.asarray(FIRING * self.base_spread[:NUM_NEURONS])

    @cached_property
    def toxic(self) -> ToxicDirections:
        """Directions for the projections."""
        probe = self.other.mean + np.sqrt(self.plain.values) * np.cos(np.arange(self.d))
        return ToxicDirections(probe=probe, svd=np.eye(3, self.d))

    @cached_property
    def vectors(self) -> Float64[np.ndarray, "vectors d"]:
        """Unit changes of value vectors, against other's mean on the whole."""
        rng = np.random.default_rng(4)
        drawn = rng.standard_normal((NUM_VECTORS, self.d)) / self.d**0.5
        mean = self.other.mean / np.linalg.norm(self.other.mean)
        drawn -= np.multiply.outer(rng.uniform(0.0, 0.8, NUM_VECTORS), mean)
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompts:
    """Where each row comes from."""

    prompts: Int64[np.ndarray, " rows"]
    """Number of its prompt."""
    groups: Int64[np.ndarray, " rows"]
    """Number of its prompt group: drawn, as a hash does."""

    @classmethod
    def of(cls, cell: Cell, rng: np.random.Generator) -> Prompts:
        """Draw the group of each prompt."""
        each = ROWS_EACH if cell.kind == "clusters" else 1
        prompts = np.arange(cell.rows) // each
        groups = rng.integers(0, NUM_GROUPS, prompts[-1] + 1)
        return cls(prompts=prompts, groups=groups[prompts])


def draw_scales(kind: str, number: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the factors of rows: 1, or those of a multivariate t of unit variance."""
    if kind != "heavy":
        return np.ones(number)
    return np.asarray(np.sqrt((FREEDOM - 2) / rng.chisquare(FREEDOM, number)))


def draw_norms(number: int, prompts: Int64[np.ndarray, " rows"], rng: np.random.Generator):
    """Draw lengths of base rows: lognormal, in part by prompt."""
    shared = 0.3 * rng.standard_normal(int(prompts[-1]) + 1)[prompts]
    return np.exp(shared + 0.2 * rng.standard_normal(number))


@dataclass(frozen=True, kw_only=True, eq=False)
class Draw:
    """One draw of both conditions."""

    other: Sample
    """The condition that is measured, at turn 3 of its dialogues."""
    plain: Sample
    """The condition that it is compared with."""


def draw_samples(cell: Cell, world: World, draw: int) -> Draw:
    """Draw rows of both conditions and summarise them as an extraction does."""
    rng = cell.rng(draw)
    at = Prompts.of(cell, rng)
    normal = normal_rows(cell, at, rng)
    mixed = ALIKE * normal + (1 - ALIKE**2) ** 0.5 * normal_rows(cell, at, rng)
    samples = []
    for condition, own in ((world.plain, normal), (world.other, mixed)):
        rows = condition.rows(own, draw_scales(cell.kind, cell.rows, rng))
        samples.append(summarise(world, at, rows, rng))
    earlier = {turn: _means_only(cell, world, at, DRIFT[turn] / DRIFT[3], rng) for turn in (1, 2)}
    return Draw(plain=samples[0], other=replace(samples[1], turn=3, earlier=earlier))


def normal_rows(cell: Cell, at: Prompts, rng: np.random.Generator) -> np.ndarray:
    """Draw standard normal rows; in clusters those of a prompt share a part."""
    own = rng.standard_normal((cell.rows, cell.d))
    if cell.kind != "clusters":
        return own
    shared = rng.standard_normal((at.prompts[-1] + 1, cell.d))[at.prompts]
    return np.asarray(SHARED**0.5 * shared + (1 - SHARED) ** 0.5 * own)


def summarise(world: World, at: Prompts, rows: np.ndarray, rng: np.random.Generator) -> Sample:
    """Summarise rows as an extraction does, with lengths of base rows and neurons drawn to them."""
    norms = draw_norms(len(rows), at.prompts, rng)
    neurons = world.firing + world.base_spread[:NUM_NEURONS] * rng.standard_normal(
        (len(rows), NUM_NEURONS)
    )
    groups = {}
    for number in np.unique(at.groups):
        own = np.flatnonzero(at.groups == number)
        summary = GroupSummary.from_rows(rows[own], norms[own], at.prompts[own], moments=True)
        aligned = neurons[own] + rows[own, :NUM_NEURONS]
        sums = NeuronSums.from_rows(neurons[own], aligned)
        groups[int(number)] = replace(summary, neurons=sums)
    kept = slice(min(len(rows), MOST_KEPT))
    reservoir = Reservoir(
        rows=rows[kept].astype(np.float32), prompts=at.prompts[kept], groups=at.groups[kept]
    )
    return Sample(
        groups=groups,
        reservoir=reservoir,
        toxic=world.toxic,
        toxic_neurons=np.arange(NUM_TOXIC),
    )


def with_base(sample: Sample, world: World, rng: np.random.Generator) -> Sample:
    """Return the sample with base rows beside the kept ones, independent of δ."""
    assert sample.reservoir is not None
    kept = sample.reservoir
    base = rng.standard_normal(kept.rows.shape, dtype=np.float32) * world.base_spread
    return replace(sample, reservoir=replace(kept, base=base.astype(np.float32)))


def _means_only(
    cell: Cell, world: World, at: Prompts, times: float, rng: np.random.Generator
) -> Sample:
    """Return a sample of another turn as far as its groups' means go, which are drawn directly."""
    condition = replace(world.other, mean=world.other.mean * times)
    groups = {}
    for number in np.unique(at.groups):
        own = at.prompts[at.groups == number]
        squares = float(np.square(draw_scales(cell.kind, len(own), rng)).sum())
        if cell.kind == "clusters":
            shared = float(np.square(np.unique(own, return_counts=True)[1]).sum())
            squares = SHARED * shared + (1 - SHARED) * squares
        normal = rng.standard_normal((1, cell.d))
        (mean,) = condition.rows(normal, np.array([squares**0.5 / len(own)]))
        none = Scatter.of_rows(np.zeros((0, cell.d)))
        moments = Moments(num_rows=len(own), mean=mean, scatter=none)
        blank = GroupSummary.from_rows(mean[None], np.ones(1), own[:1], moments=False)
        groups[int(number)] = replace(blank, num_rows=len(own), moments=moments)
    return Sample(groups=groups, reservoir=None)
