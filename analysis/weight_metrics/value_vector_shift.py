"""Whether value vectors moved against the offset that they bring about: the paper's central plot.

Lee et al. 2024 (arXiv 2401.01967), section 5.2: cos(δx at layer l, δ of value vector i of layer j)
for all layers j whose MLPs have written to the stream there. Below 0, and lower the nearer j is to
l, in GPT-2 medium, because most neurons are slightly below zero: against δx times below zero is
along δx. Range -1 to 1; rotating the stream, or scaling either model's change, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
from jaxtyping import Float32

from analysis.estimates.evaluation import Measured, missing, with_number
from analysis.estimates.intervals import Estimate
from analysis.estimates.mean_offset import MeanOffset
from analysis.estimates.nulls import Band
from analysis.measurement import Measurement
from analysis.rows.cosine_histogram import (
    NUM_BINS,
    Counts,
    count_cosines,
    merge_bins,
    modes,
    quantiles,
)
from analysis.status import Status

DEFINITION = (
    "v5: median over the value vectors of all MLPs that have written to the stream there of the "
    "cosine between the change of the vector and mean δ, whose noise is taken from its length and "
    "from the spread of the cosines by pairs of prompt groups; _mode: mean inside the fullest "
    "window of 0.05; _nearest, _first: median of the last such MLP, of layer 0's; vectors that "
    "did not move are left out; missing where the squared length of mean δ, over pairs of prompt "
    "groups, is under 1.5 standard errors (by signs of groups); bootstrap of mean δ over prompt "
    "groups, joined in squares with half the distance of the vectors three ranks to either side of "
    "a quantile; bands: the same number with random directions in place of mean δ"
)
REPORTS = (
    "value_vector_shift",
    *(f"value_vector_shift_{name}" for name in ("mode", "p05", "p95", "nearest", "first")),
)
NEEDS_OFFSETS = True
HEADLINES = {"value_vector_shift": 200}
AXIS_LABEL = "cosine of value vectors' change with mean offset, median (-1 to 1)"
RANGES = dict.fromkeys(REPORTS, (-1.0, 1.0))
NUM_DIRECTIONS = 200
"""Random directions drawn for a band."""
_SHARES = {
    "value_vector_shift": 0.5,
    "value_vector_shift_p05": 0.05,
    "value_vector_shift_p95": 0.95,
}
"""Of the vectors that lie below each quantile."""
NEIGHBOURS = 3
"""Ranks to either side of a quantile that noise in mean δ is taken to swap. Of 400 vectors and 512
rows the interval without them held the 5 % quantile in 81 of 100 draws, with one in 84, three 92.
"""
_FRACTIONS = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True, eq=False)
class Moved:
    """How the value vectors of one MLP moved."""

    units: Float32[np.ndarray, "neurons d"]
    """Directions of those that did."""
    num_still: int
    """Those that did not."""
    null: Counts
    """Their cosines with each of the random directions."""

    @cached_property
    def median_band(self) -> Band:
        """Band of their median cosine with a random direction."""
        return Band.of_draws(quantiles(self.null, 0.5))

    @classmethod
    def of(cls, change: Float32[np.ndarray, "neurons d"]) -> Moved:
        """Take aligned minus base value vectors."""
        lengths = np.linalg.norm(change.astype(np.float64), axis=1)
        keep = lengths > 0
        units = (change[keep] / lengths[keep, None]).astype(np.float32)
        null = count_cosines(units @ random_directions(change.shape[1]).T)
        return cls(units=units, num_still=int((~keep).sum()), null=null)


@cache
def random_directions(dimension: int) -> Float32[np.ndarray, "draws d"]:
    """Draw random unit directions; the same in every call."""
    drawn = np.random.default_rng(5).standard_normal((NUM_DIRECTIONS, dimension))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


@dataclass(kw_only=True, eq=False)
class Shift:
    """Cosines of one mean offset with value vectors of ever more layers, from layer 0 on."""

    offset: MeanOffset
    """The mean offset."""
    _total: Counts = field(default_factory=lambda: np.zeros((1, NUM_BINS), np.int64))
    _null: Counts = field(default_factory=lambda: np.zeros((1, NUM_BINS), np.int64))
    _medians: dict[int, tuple[Estimate, Band]] = field(default_factory=dict)

    def add(self, layer: int, moved: Moved) -> Mapping[str, object]:
        """Add one layer; return its line of the full table."""
        line: dict[str, object] = {"num_vectors": len(moved.units), "num_still": moved.num_still}
        if self.offset.doubt is not None or not len(moved.units):
            return line
        counts = count_cosines(self.offset.cosines(moved.units))
        self._total, self._null = self._total + counts, self._null + moved.null
        estimate, band = self._quantile(counts, 0.5), moved.median_band
        self._medians[layer] = estimate, band
        shares = {f"p{100 * s:02.0f}": float(quantiles(counts[:1], s)[0]) for s in _FRACTIONS}
        return line | {
            "median": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "null_low": band.low,
            "null_high": band.high,
            "mode": float(modes(counts[:1])[0]),
            **shares,
            "counts": merge_bins(counts)[0],
        }

    def values(self, nearest: int) -> list[Measurement]:
        """Measure over all layers added so far; `nearest` is the last one, -1 without any."""
        fault = self.offset.doubt
        if nearest < 0:
            fault = Status.UNDEFINED, "no MLP has written to the stream there"
        elif fault is None and not self._total.any():
            fault = Status.BELOW_NOISE_FLOOR, "no value vector of the MLPs before it moved"
        if fault is not None:
            return unmeasured(*fault)
        values = {
            name: (self._quantile(self._total, share), Band.of_draws(quantiles(self._null, share)))
            for name, share in _SHARES.items()
        }
        mode = self.offset.estimate(modes(self._total))
        values["value_vector_shift_mode"] = mode, Band.of_draws(modes(self._null))
        return [
            *(self._value(name, *values[name]) for name in REPORTS[:4]),
            self._of_layer(REPORTS[4], nearest),
            self._of_layer(REPORTS[5], 0),
        ]

    def _quantile(self, counts: Counts, share: float) -> Estimate:
        """Estimate a quantile; noise reorders vectors, and it is no surer than they are near."""
        estimate = self.offset.estimate(quantiles(counts, share))
        own = counts[:1]
        each = 1 / int(own.sum())
        # No further out than the middle of the outermost vector.
        ends = (
            max(share - NEIGHBOURS * each, each / 2),
            min(share + NEIGHBOURS * each, 1 - each / 2),
        )
        gap = float(quantiles(own, ends[1])[0] - quantiles(own, ends[0])[0]) / 2
        return estimate.widened(gap, gap).within(-1.0, 1.0)

    def _of_layer(self, name: str, layer: int) -> Measurement:
        if layer not in self._medians:
            reason = f"no value vector of layer {layer} moved"
            return missing(_blank(name), reason, Status.BELOW_NOISE_FLOOR)
        return self._value(name, *self._medians[layer])

    def _value(self, name: str, estimate: Estimate, band: Band) -> Measurement:
        result = Measured(
            estimate=estimate,
            num_rows=self.offset.num_rows,
            groups=self.offset.numbers,
            null=band,
        )
        return with_number(_blank(name), result)


def unmeasured(status: Status, reason: str) -> list[Measurement]:
    """Return every value, missing for one reason."""
    return [missing(_blank(name), reason, status) for name in REPORTS]


def _blank(name: str) -> Measurement:
    return Measurement(metric=name, definition=DEFINITION)
