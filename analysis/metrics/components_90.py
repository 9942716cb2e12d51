"""How many principal directions hold 90 % of the variance."""

from __future__ import annotations

from functools import partial
from math import log

from analysis.estimates.spectral import SpectralNumber
from analysis.metric import Computation, Metric
from analysis.rows.population_spectrum import PopulationSpectrum
from analysis.rows.summary import Sample

SHARE = 0.9


class Components90(Metric):
    """Number of components of the population; rotating or scaling all rows changes nothing.

    The last component counts in part until the end, which makes the number smooth enough to
    jackknife. It asks where among small eigenvalues 90 % are reached, which few rows do not tell:
    the first of the numbers of directions to be refused.
    """

    DEFINITION = (
        "v7: least number of leading eigenvalues of the population that sum to 90 % of all, as "
        "fitted to its degrees of freedom at every ridge, found by crossing prompt groups: half "
        "way, in logarithms, between the smoothest spectrum that fits and the sparsest, the last "
        "one counted in part; interval: delete-group jackknife of the degrees of freedom, of which"
        " the spectrum is fitted again, joined in squares with half the difference of both spectra"
        " and 5 %; rounded up; refused under 1.5 times as many independent rows; _share: over d"
    )
    REPORTS = ("components_90", "components_90_share")
    AXIS_LABEL = "components for 90 % of the variance (1 to d)"
    RANGES = {"components_90": (1.0, None), "components_90_share": (0.0, 1.0)}
    HEADLINES = {"components_90": 150}
    IS_SPECTRAL = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        number = SpectralNumber(sample=sample, logarithm=log_components, whole=True)
        return [partial(number.measure, centred), partial(number.measure_share, centred)]


def log_components(spectrum: PopulationSpectrum) -> float:
    """Return the logarithm of the number of components, the last one in part.

    A share of 1e-12 short of SHARE counts as SHARE.
    """
    return log(spectrum.count(SHARE - 1e-12))
