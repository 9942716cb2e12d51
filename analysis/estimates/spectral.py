"""Numbers of directions that are made of the population's eigenvalues, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, exp, log

import numpy as np

from analysis.estimates.evaluation import (
    Measured,
    UnmeasurableError,
    require_groups,
    require_spectra,
)
from analysis.estimates.intervals import MIN_GROUPS, Estimate, jackknife
from analysis.rows.population_spectrum import PopulationSpectrum
from analysis.rows.summary import Sample
from analysis.status import Status

Logarithm = Callable[[PopulationSpectrum], float]
"""The logarithm of a number made of eigenvalues."""
UNDISPUTED = 0.05
"""Difference of logarithms between two spectra that fit the rows which is never too large."""

ACCURACY = 0.05
"""Relative error of a count of directions that a fit has however many the rows: a smooth spectrum
blurs the step between a few strong directions and a flat rest (5 % low at N = 8 d, d = 64)."""


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
        """Measure the number on its logarithm, which is nearly symmetric.

        Raises:
            UnmeasurableError: the rows fit spectra whose numbers differ by more than chance does.
        """
        spectra = require_spectra(self.sample, centred)
        require_groups(spectra.num_groups, 2)
        population = spectra.population(centred)
        if population is None:
            few = f"{int(spectra.counts.sum())} rows tell nothing of a spectrum"
            raise UnmeasurableError(few, Status.TOO_FEW_ROWS)
        left_out = np.full(spectra.num_groups, np.nan)
        for place, spectrum in enumerate(population.left_out):
            if spectrum is not None:
                left_out[place] = self.logarithm(spectrum)
        logarithm = self.logarithm(population.spectrum)
        estimate = jackknife(logarithm, left_out, spectra.counts)
        rival = self.logarithm(population.rival)
        self._require_told(estimate, rival, population.num_rows)
        if self.whole:
            for number in (rival, logarithm - ACCURACY, logarithm + ACCURACY):
                estimate = _reach(estimate, number)
        else:
            corrected = jackknife(logarithm, left_out, spectra.counts, correct=True)
            estimate = _reach(_reach(corrected, estimate.low), estimate.high)
        estimate = estimate.within(0.0, log(spectra.dimension)).map(exp)
        if self.whole:
            high = None if estimate.high is None else float(ceil(estimate.high))
            estimate = replace(estimate.map(_round_up), high=high)
        return Measured(
            estimate=estimate.within(1.0, float(spectra.dimension)),
            num_rows=int(spectra.counts.sum()),
            groups=self.sample.filled,
        )

    def _require_told(self, estimate: Estimate, rival: float, num_rows: float) -> None:
        """Refuse a number that the rows do not determine."""
        value = exp(estimate.value)
        if self.whole and num_rows < value:
            times = ceil(value / num_rows * 10) / 10
            reason = (
                f"about {value:.0f} components, which as many independent rows would tell; these "
                f"rows count as {num_rows:.0f}: {times:g} times as many prompts are needed"
            )
            raise UnmeasurableError(reason, Status.TOO_FEW_ROWS)
        doubt = abs(rival - estimate.value)
        if estimate.low is None or estimate.high is None:
            if len(self.sample.filled) < MIN_GROUPS and doubt <= UNDISPUTED:
                return
            reason = f"{value:.3g} or {exp(rival):.3g} directions, with no interval that tells them"
            raise UnmeasurableError(f"{reason} apart: more prompts are needed", Status.TOO_FEW_ROWS)
        half = (estimate.high - estimate.low) / 2
        if doubt > max(half, UNDISPUTED):
            reason = (
                f"{value:.3g} and {exp(rival):.3g} directions fit the rows alike: about "
                f"{ceil(doubt / max(half, UNDISPUTED) * 2)} times as many prompts are needed"
            )
            raise UnmeasurableError(reason, Status.TOO_FEW_ROWS)

    def measure_share(self, centred: bool) -> Measured:
        """Measure the number over d: one of the population is of all its directions."""
        measured, most = self.measure(centred), float(self.sample.spectra.dimension)
        estimate = measured.estimate.map(lambda number: number / most)
        return replace(measured, estimate=estimate.within(0.0, 1.0))


def _reach(estimate: Estimate, number: float | None) -> Estimate:
    """Let the interval, where there is one, reach a number."""
    if estimate.low is None or estimate.high is None or number is None:
        return estimate
    return replace(estimate, low=min(estimate.low, number), high=max(estimate.high, number))


def _round_up(number: float) -> float:
    """Round up to a whole number; up to 1 % above one, the accuracy of a fit, counts as that one.

    So does no more than a twentieth of a direction, where numbers are small.
    """
    return float(ceil(number - min(0.01 * number, 0.05)))
