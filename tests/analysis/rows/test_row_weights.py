"""How unequal rows are, told from planted ones, and what such rows teach of their leading axes."""

from math import inf, nan

import numpy as np
import pytest

from analysis.estimates.leading_axes import LearnedAxes
from analysis.rows.moments import Moments
from analysis.rows.row_weights import LEAST_SHAPE, NUM_POINTS, find_shape, weights
from analysis.rows.spectra import Spectra

SHARES = np.arange(1, 97) ** -0.7 / (np.arange(1, 97) ** -0.7).sum()
"""Of the energy of 96 directions."""


def heavy_rows(rng: np.random.Generator, number: int, degrees: float) -> np.ndarray:
    """Return rows of a multivariate t."""
    lengths = np.sqrt(degrees / rng.chisquare(degrees, number))
    return lengths[:, None] * rng.standard_normal((number, len(SHARES))) * np.sqrt(SHARES)


def spectra_of(rows: np.ndarray) -> Spectra:
    return Spectra([Moments.from_rows(part) for part in np.array_split(rows, 12)])


def test_weights_have_mean_one_and_normal_rows_weigh_alike() -> None:
    for shape in (1.05, 2.5, 20.0):
        drawn = weights(shape, 300)
        assert drawn.mean() == pytest.approx(1) and (np.diff(drawn) < 0).all()
    assert (weights(inf, 7) == 1).all()


@pytest.mark.parametrize("shape", [1.3, 2.5, 8.0, 60.0])
@pytest.mark.parametrize("resolved", [0.02, 0.5, 8.0])
def test_the_law_of_weights_is_found_again(shape: float, resolved: float) -> None:
    drawn = weights(shape, NUM_POINTS)
    ratio = float((drawn / (1 + drawn * resolved)).mean())
    assert find_shape(resolved * ratio, ratio) == pytest.approx(shape, rel=1e-6)


def test_rows_that_resolve_more_than_normal_ones_are_normal_and_the_least_shape_is_the_end() -> (
    None
):
    assert find_shape(0.3, 0.7) == inf and find_shape(0.3, 0.8) == inf
    assert find_shape(0.3, 0.01) == LEAST_SHAPE


@pytest.mark.parametrize("ratio", [0.0, -0.2, nan, inf])
def test_a_curve_that_is_of_no_use_tells_of_no_law(ratio: float) -> None:
    assert find_shape(0.3, ratio) == inf


@pytest.mark.parametrize("number", [48, 240])
@pytest.mark.parametrize("centred", [True, False])
def test_degrees_of_freedom_of_a_t_are_read_from_rows(number: int, centred: bool) -> None:
    found: dict[float, list[float]] = {5.0: [], inf: []}
    for draw in range(12):
        rng = np.random.default_rng(draw)
        for degrees, shapes in found.items():
            rows = heavy_rows(rng, number, min(degrees, 1e9))
            population = spectra_of(rows).population(centred)
            assert population is not None
            shapes.append(2 * population.shape)
    assert 3.5 < np.median(found[5.0]) < 7
    assert np.median(found[inf]) > 25


def test_axes_that_heavy_rows_teach_are_foreseen_and_those_of_normal_rows_are_not_they() -> None:
    taught = []
    for draw in range(40):
        rows = heavy_rows(np.random.default_rng(draw), 96, 5.0)
        axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:10]
        taught.append(float(np.square(axes[:, :10]).sum()) / 10)
    seen = np.mean(taught)
    heavy, normal = (LearnedAxes.of(SHARES, 96.0, 10, shape).purity for shape in (2.5, inf))
    assert heavy == pytest.approx(seen, abs=0.04)
    assert normal > seen + 0.08
