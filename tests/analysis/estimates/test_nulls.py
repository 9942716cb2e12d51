"""Null bands: against simulation, and against what random directions of real rows do."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from analysis.estimates.nulls import (
    base_angles,
    base_cosine,
    principal_cosines,
    random_angles,
    random_cosine,
    random_share,
)
from analysis.rows.base_rows import BaseRows


def base_of(scale: np.ndarray, seed: int = 0, offset: float = 0.0) -> BaseRows:
    rows = np.random.default_rng(seed).standard_normal((600, len(scale))) * scale + offset
    found = BaseRows.of(rows, np.arange(600) % 20)
    assert found is not None
    return found


@pytest.mark.parametrize("dimension", [2, 5, 300])
def test_random_directions_have_the_cosines_that_are_drawn(dimension: int) -> None:
    rows = np.random.default_rng(1).standard_normal((40_000, dimension))
    cosines = rows[:, 0] / np.linalg.norm(rows, axis=1)
    assert random_cosine(dimension).high == pytest.approx(np.quantile(cosines, 0.975), rel=0.04)
    assert random_cosine(dimension).low == -random_cosine(dimension).high


def test_in_many_dimensions_the_band_of_cosines_is_normal() -> None:
    assert random_cosine(4096).high == pytest.approx(1.96 / 64, rel=0.001)


@pytest.mark.parametrize("rank", [1, 4, 30])
def test_the_share_inside_a_random_subspace_is_the_one_drawn(rank: int) -> None:
    dimension, num_axes = 30, 5
    shares = np.zeros(dimension)
    shares[:rank] = 1 / np.arange(1, rank + 1)
    shares /= shares.sum()
    rng = np.random.default_rng(2)
    drawn = []
    for _ in range(4000):
        axes = np.linalg.qr(rng.standard_normal((dimension, num_axes)))[0]
        drawn.append(float(np.square(axes).sum(axis=1) @ shares))
    band = random_share(num_axes, dimension, float(np.square(shares).sum()))
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert band.low == pytest.approx(low, abs=0.012) and band.high == pytest.approx(high, rel=0.06)


def test_a_flat_spectrum_has_the_same_share_in_every_subspace() -> None:
    band = random_share(3, 12, 1 / 12)
    assert (band.low, band.high) == pytest.approx((0.25, 0.25))


def test_principal_cosines_are_scipys() -> None:
    rng = np.random.default_rng(3)
    first, second = (np.linalg.qr(rng.standard_normal((40, k)))[0] for k in (4, 6))
    expected = np.cos(subspace_angles(first, second))[::-1]
    np.testing.assert_allclose(principal_cosines(first, second), expected, atol=1e-12)


def test_random_subspaces_share_k_over_d() -> None:
    cosines = random_angles(10, 10, 200)
    assert np.square(cosines).mean() == pytest.approx(10 / 200, rel=0.05)
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_isotropic_base_rows_give_the_random_bands() -> None:
    first, second = base_of(np.ones(60), 4), base_of(np.ones(60), 5)
    band = base_cosine(first, second)
    assert band is not None and band.high == pytest.approx(random_cosine(60).high, rel=0.15)
    cosines = base_angles(first, second, 5, 5)
    assert cosines is not None
    assert np.square(cosines).mean() == pytest.approx(5 / 60, rel=0.15)


def test_anisotropy_alone_widens_the_bands_and_a_common_mean_does_not() -> None:
    scale = np.array([30.0, 10.0, *[1.0] * 58])
    first, second = base_of(scale, 6, offset=100.0), base_of(scale, 7, offset=100.0)
    band = base_cosine(first, second)
    assert band is not None and band.high > 0.9
    cosines = base_angles(first, second, 5, 5)
    assert cosines is not None and np.square(cosines).mean() > 0.3  # isotropic: 5 / 60
    flat = base_cosine(base_of(np.ones(60), 8, offset=100.0), base_of(np.ones(60), 9, offset=100.0))
    assert flat is not None and flat.high < 0.3


def test_without_base_rows_there_is_no_band() -> None:
    assert base_cosine(None, base_of(np.ones(3))) is None
    assert BaseRows.of(np.ones((4, 3)), np.arange(4)) is None
