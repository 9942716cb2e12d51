"""The same numbers from scikit-learn, scipy and published closed forms."""

import numpy as np
import pytest
import scipy.stats
from sklearn.decomposition import PCA

from analysis.estimates.intervals import student_quantile
from analysis.estimates.nulls import random_angles, random_cosine, random_share
from analysis.metric import METRICS
from analysis.rows.population_spectrum import PopulationSpectrum
from analysis.weight_metrics.down_projection_rank1 import random_constancy

intrinsic_dimension = METRICS.find("intrinsic_dimension")


def decaying(num_rows: int, dimension: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed).standard_normal((num_rows, dimension))
    return draw / np.sqrt(np.arange(1, dimension + 1)) + 0.5


@pytest.mark.parametrize(("num_rows", "dimension"), [(200, 12), (60, 90)])
def test_spectra_are_the_principal_components_of_scikit_learn(
    sample_of, num_rows: int, dimension: int
) -> None:
    rows = decaying(num_rows, dimension)
    sample, pca = sample_of(rows), PCA(svd_solver="full").fit(rows)
    spectrum = sample.spectra.of(centred=True)
    explained = pca.explained_variance_[: len(spectrum.eigenvalues)]
    np.testing.assert_allclose(spectrum.eigenvalues / (num_rows - 1), explained, rtol=1e-8)
    overlaps = np.abs((pca.components_[:10] * spectrum.axes.T).sum(axis=1))
    np.testing.assert_allclose(overlaps, 1, atol=1e-8)
    own = PopulationSpectrum.of(spectrum.eigenvalues, np.ones(len(spectrum.eigenvalues)))
    assert own.entropy == pytest.approx(scipy.stats.entropy(explained))


@pytest.mark.parametrize(("num_axes", "dimension"), [(10, 40), (10, 200), (3, 30)])
def test_random_subspaces_share_k_of_d(num_axes: int, dimension: int) -> None:
    squares = np.square(random_angles(num_axes, num_axes, dimension)).mean(axis=1)
    # One squared cosine of a random pair has variance below 2 / d^2: the mean of k^2 of them less.
    assert squares.mean() == pytest.approx(num_axes / dimension, rel=0.06)
    band = random_share(num_axes, dimension, purity=1.0)
    exact = scipy.stats.beta(num_axes / 2, (dimension - num_axes) / 2).ppf([0.025, 0.975])
    np.testing.assert_allclose([band.low, band.high], exact, rtol=1e-9)


@pytest.mark.parametrize("dimension", [3, 50, 4096])
def test_bands_of_random_directions_are_those_of_the_published_laws(dimension: int) -> None:
    """A cosine r of two random directions has r sqrt((d - 1) / (1 - r^2)) ~ t(d - 1)."""
    high = random_cosine(dimension).high
    quantile = scipy.stats.t(dimension - 1).ppf(0.975)
    assert high * np.sqrt((dimension - 1) / (1 - high**2)) == pytest.approx(quantile)
    even = random_constancy(dimension)
    law = scipy.stats.beta(0.5, (dimension - 1) / 2)
    np.testing.assert_allclose(law.cdf([even.low, even.high]), [0.025, 0.975], rtol=1e-9)


@pytest.mark.parametrize("freedom", [4, 9, 19])
def test_students_quantile_is_scipys(freedom: int) -> None:
    assert student_quantile(freedom) == pytest.approx(scipy.stats.t(freedom).ppf(0.975))


def sphere(rng: np.random.Generator) -> np.ndarray:
    rows = rng.standard_normal((1500, 3))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def roll(rng: np.random.Generator) -> np.ndarray:
    along = 3 * np.pi * rng.uniform(0.5, 1.5, 1500)
    return np.stack([along * np.cos(along), 20 * rng.uniform(size=1500), along * np.sin(along)], 1)


def circle(rng: np.random.Generator) -> np.ndarray:
    angles = rng.uniform(0, 2 * np.pi, 1500)
    return np.stack([np.cos(angles), np.sin(angles), np.zeros(1500)], axis=1)


@pytest.mark.parametrize(("manifold", "dimension"), [(circle, 1), (sphere, 2), (roll, 2)])
def test_curved_manifolds_read_their_own_dimension(sample_of, manifold, dimension: int) -> None:
    rng = np.random.default_rng(3)
    rows = manifold(rng) @ np.linalg.qr(rng.standard_normal((40, 3)))[0].T
    (value,) = intrinsic_dimension.measure(sample_of(rows), None)
    assert value.value == pytest.approx(dimension, rel=0.08)
