"""Numbers made of eigenvalues, with the bias of few rows taken off by a delete-group jackknife."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, exp

import numpy as np
from jaxtyping import Float64

from analysis.estimates.evaluation import Measured, require_spectra
from analysis.estimates.intervals import jackknife
from analysis.rows.summary import Sample

Logarithm = Callable[[Float64[np.ndarray, " rank"]], float]
"""The logarithm of a number made of eigenvalues, the largest first: at least one, all above 0."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpectralNumber:
    """A number of directions, 1 to the most there can be."""

    sample: Sample
    """The rows."""
    logarithm: Logarithm
    """The number's own formula."""
    whole: bool = False
    """Whether the number is rounded up, as a count of directions is."""

    def measure(self, centred: bool) -> Measured:
        """Measure the number, bias-corrected on its logarithm, which is nearly symmetric."""
        spectra = require_spectra(self.sample, centred)
        whole = self.logarithm(spectra.of(centred).eigenvalues)
        left_out = np.full(spectra.num_groups, np.nan)
        if spectra.num_groups > 1:
            left_out = np.array([self._without(group, centred) for group in range(len(left_out))])
        estimate = jackknife(whole, left_out, spectra.counts, correct=True).map(exp)
        estimate = estimate.map(_round_up) if self.whole else estimate
        return Measured(
            estimate=estimate.within(1.0, float(spectra.dimension)),
            num_rows=int(spectra.counts.sum()),
            groups=self.sample.filled,
        )

    def measure_share(self, centred: bool) -> Measured:
        """Measure the number over min(N, d), beyond which no number of rows can go."""
        measured, spectra = self.measure(centred), self.sample.spectra
        most = min(float(spectra.counts.sum()), float(spectra.dimension))
        estimate = measured.estimate.map(lambda number: number / most)
        return replace(measured, estimate=estimate.within(0.0, 1.0))

    def _without(self, group: int, centred: bool) -> float:
        values = self.sample.spectra.of(centred, group).eigenvalues
        return self.logarithm(values) if len(values) else float("nan")


def _round_up(number: float) -> float:
    """Round up to a whole number; a rounding error above one counts as that one."""
    return float(ceil(number * (1 - 1e-9)))
