"""Numbers of directions that are made of the population's eigenvalues, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, exp, hypot, log

import numpy as np

from analysis.estimates.evaluation import (
    Measured,
    UnmeasurableError,
    require_groups,
    require_spectra,
)
from analysis.estimates.forewarning import ROWS_EACH
from analysis.estimates.intervals import MIN_GROUPS, Estimate, jackknife
from analysis.rows.population_spectrum import ACCURACY as FIT_ACCURACY
from analysis.rows.population_spectrum import Population, PopulationSpectrum
from analysis.rows.summary import Sample
from analysis.status import Status

Logarithm = Callable[[PopulationSpectrum], float]
"""The logarithm of a number made of eigenvalues."""
UNDISPUTED = 0.05
"""Difference of logarithms between two spectra that fit the rows which is never too large."""
ACCURACY = 0.05
"""Relative error of a count of directions that a fit leaves: it reads a flat bulk as one that
falls, and so the last of its directions that are counted as fuller than they are: of ten spikes
over a flat bulk of 246 directions 1,024 rows count 3 % too few."""


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
        estimate = self._count(population) if self.whole else self._spread(population)
        # A little too far, so that rounding leaves no upper end below d; clipped again at the end.
        estimate = estimate.within(0.0, log(spectra.dimension) + 1e-9).map(exp)
        if self.whole:
            estimate = _rounded(estimate)
        return Measured(
            estimate=estimate.within(1.0, float(spectra.dimension)),
            num_rows=int(spectra.counts.sum()),
            groups=self.sample.filled,
        )

    def _spread(self, population: Population) -> Estimate:
        """Jackknife a number that moves as smoothly as the spectrum, with its bias taken off.

        Each way, corrected or not, is known to the accuracy of the fit: many rows of a flat
        spectrum leave less chance than that, and the correction moves farther than that.
        """
        left_out = np.full(len(population.counts), np.nan)
        for place, spectrum in enumerate(population.left_out):
            if spectrum is not None:
                left_out[place] = self.logarithm(spectrum)
        value = self.logarithm(population.spectrum)
        plain = jackknife(value, left_out, population.counts)
        self._require_told(plain, self.logarithm(population.rival), population.num_rows)
        corrected = jackknife(value, left_out, population.counts, correct=True)
        corrected = corrected.widened(FIT_ACCURACY, FIT_ACCURACY)
        return corrected.joined(plain.widened(FIT_ACCURACY, FIT_ACCURACY))

    def _count(self, population: Population) -> Estimate:
        """Count directions: half way between both spectra that fit, out to both at least."""
        smooth, rival = (self.logarithm(s) for s in (population.spectrum, population.rival))
        value, counts = (smooth + rival) / 2, population.counts
        spectra, signs = population.moved
        left_out = np.full(len(counts), np.nan)
        if len(spectra):
            effects = signs.T @ [self.logarithm(spectrum) for spectrum in spectra] / len(signs)
            left_out = value - effects * np.sqrt(len(counts) / (counts.sum() / counts - 1))
        chance = jackknife(value, left_out, counts)
        self._require_told(replace(chance, value=smooth), rival, population.num_rows)
        doubt = hypot((smooth - rival) / 2, ACCURACY)
        return chance.widened(doubt, doubt)

    def _require_told(self, estimate: Estimate, rival: float, num_rows: float) -> None:
        """Refuse a number that the rows do not determine.

        The number of prompts that is told is a guess. Of 25 counts of components of 64 dimensions
        18 were answered at that number and all at 1.3 times as many; 25 held the truth.
        """
        value = exp(estimate.value)
        if self.whole and num_rows < ROWS_EACH * value:
            times = ceil(ROWS_EACH * value / num_rows * 10) / 10
            reason = (
                f"about {value:.0f} components, which {ROWS_EACH:g} times as many independent rows "
                f"would tell; these rows count as {num_rows:.0f}: {times:g} times as many prompts "
                "are needed"
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


def _rounded(estimate: Estimate) -> Estimate:
    """Round a count up; without each group it keeps its parts, which fits over sizes need."""
    high = None if estimate.high is None else float(ceil(estimate.high))
    rounded = replace(estimate, left_out=()).map(_round_up)
    left_out = tuple(left * rounded.value / estimate.value for left in estimate.left_out)
    return replace(rounded, high=high, left_out=left_out)


def _round_up(number: float) -> float:
    """Round up to a whole number; up to 1 % above one, the accuracy of a fit, counts as that one.

    So does no more than a twentieth of a direction, where numbers are small.
    """
    return float(ceil(number - min(0.01 * number, 0.05)))
