"""Spectra fitted to exact curves: what the curve determines comes back."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.rows.freedom import FreedomCurve
from analysis.rows.population_spectrum import (
    PopulationSpectrum,
    smoothest,
    smoothest_of,
    sparsest,
)

D = 128
INDEX = np.arange(1, D + 1.0)
SPECTRA = {
    "flat": np.ones(D),
    "power": 1 / INDEX,
    "steep": INDEX**-1.5,
    "spiked": np.concatenate([[60.0, 30.0, 20.0], np.full(D - 3, 0.5)]),
    "few": np.where(INDEX <= 30, 1.0, 0.0),
}


def curve_of(eigenvalues: np.ndarray, most: float) -> FreedomCurve:
    scales = np.geomspace(0.01 / eigenvalues.max(), 1e5, 3000)
    freedom = (scales[:, None] * eigenvalues / (1 + scales[:, None] * eigenvalues)).sum(axis=1)
    end = int(np.searchsorted(freedom, most))
    chosen = np.linspace(0, end - 1, 12).round().astype(int)
    return FreedomCurve(
        freedom=freedom[chosen],
        scales=scales[chosen],
        trace=float(eigenvalues.sum()),
        dimension=D,
    )


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("fit", [smoothest, sparsest])
def test_the_entropy_comes_back_from_half_of_the_degrees_of_freedom(name: str, fit) -> None:
    eigenvalues = SPECTRA[name]
    shares = eigenvalues[eigenvalues > 0] / eigenvalues.sum()
    entropy = -(shares * np.log(shares)).sum()
    found = fit(curve_of(eigenvalues, 0.45 * D if name != "few" else 27.0))
    assert found.entropy == pytest.approx(entropy, abs=0.04)
    assert (found.shares * found.numbers).sum() == pytest.approx(1.0)
    assert (np.diff(found.shares) < 0).all()


def test_a_spectrum_counts_its_components_in_part() -> None:
    spectrum = PopulationSpectrum.of(np.array([6.0, 2.0, 1.0]), np.array([1.0, 1.0, 2.0]))
    assert spectrum.count(0.8) == pytest.approx(2.0)
    assert spectrum.count(0.9) == pytest.approx(3.0)
    assert spectrum.count(0.95) == pytest.approx(3.5)
    assert spectrum.entropy == pytest.approx(
        -(0.6 * np.log(0.6) + 0.2 * np.log(0.2) + 0.2 * np.log(0.1))
    )


def test_curves_that_are_fitted_together_have_the_spectra_of_each_alone() -> None:
    mosts = {"power": 0.3 * D, "flat": 0.45 * D, "few": 27.0, "steep": 0.1 * D}
    curves = [curve_of(SPECTRA[name], most) for name, most in mosts.items()]
    curves[1] = replace(curves[1], freedom=curves[1].freedom[:7], scales=curves[1].scales[:7])
    for together, curve in zip(smoothest_of(curves), curves, strict=True):
        alone = smoothest(curve)
        assert together.entropy == pytest.approx(alone.entropy, abs=1e-6)
        assert together.count(0.9) == pytest.approx(alone.count(0.9), rel=1e-6)


@np.errstate(all="ignore")
def test_a_curve_that_no_spectrum_fits_takes_no_other_along() -> None:
    good = curve_of(SPECTRA["power"], 0.3 * D)
    bad = replace(good, freedom=good.freedom * 1e-310)
    for curves in ([good, bad], [bad, good]):
        fits = dict(zip(map(id, curves), smoothest_of(curves), strict=True))
        assert fits[id(bad)] is None
        assert fits[id(good)].entropy == pytest.approx(smoothest(good).entropy, abs=1e-6)
