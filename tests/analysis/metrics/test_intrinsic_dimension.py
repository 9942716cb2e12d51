"""intrinsic_dimension: known manifolds, brute force, duplicates and prompts."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from analysis.metric import METRICS
from analysis.status import Status

intrinsic_dimension = METRICS.find("intrinsic_dimension")


def by_hand(rows: np.ndarray) -> float:
    distances = np.sort(cdist(rows, rows), axis=1)
    return float((len(rows) - 1) / np.log(distances[:, 2] / distances[:, 1]).sum())


def measured(sample) -> float:
    (value,) = intrinsic_dimension.measure(sample, None)
    assert value.status is Status.OK and value.low <= value.value <= value.high
    return value.value


def test_it_is_the_likelihood_estimate_of_scipys_distances(sample_of) -> None:
    rows = np.random.default_rng(0).standard_normal((300, 9)).astype(np.float32) + 7
    assert measured(sample_of(rows)) == pytest.approx(by_hand(rows.astype(np.float64)), rel=1e-9)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_a_cube_in_many_dimensions_reads_its_own(sample_of, dimension: int) -> None:
    rng = np.random.default_rng(1)
    axes = np.linalg.qr(rng.standard_normal((50, dimension)))[0].T
    assert measured(sample_of(rng.uniform(size=(2000, dimension)) @ axes)) == pytest.approx(
        dimension, rel=0.08
    )


def test_duplicates_and_rows_that_fp32_cannot_tell_apart_are_dropped(sample_of) -> None:
    rng = np.random.default_rng(2)
    rows = rng.uniform(size=(400, 3)).astype(np.float32)
    near = rows[:40] * np.float32(1 + 2e-7)
    (value,) = intrinsic_dimension.measure(sample_of(np.concatenate([rows, near, rows])), None)
    assert value.value == pytest.approx(measured(sample_of(rows)), rel=1e-9)
    assert value.num_rows == 400


def test_several_rows_of_a_prompt_count_once(sample_of) -> None:
    rng = np.random.default_rng(3)
    centres = rng.uniform(size=(500, 2)) @ rng.standard_normal((2, 20))
    prompts = np.repeat(np.arange(500), 4)
    rows = centres[prompts] + 1e-3 * rng.standard_normal((2000, 20))
    assert measured(sample_of(rows, prompts)) == pytest.approx(2, abs=0.4)
    assert by_hand(rows) > 5  # neighbours of one prompt tell of its noise


def test_turning_shifting_and_scaling_change_nothing(sample_of) -> None:
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((200, 6))
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    moved = measured(sample_of(3e-3 * rows @ turn + 0.01))
    assert moved == pytest.approx(measured(sample_of(rows)), rel=1e-3)


def test_two_different_rows_have_no_second_neighbour(sample_of) -> None:
    rows = np.repeat([[1.0, 0.0], [0.0, 1.0]], 10, axis=0)
    (value,) = intrinsic_dimension.measure(sample_of(rows), None)
    assert value.value is None and value.reason == "2 different rows, two neighbours need 3"


def test_corners_of_a_simplex_have_neighbours_at_one_distance(sample_of) -> None:
    (value,) = intrinsic_dimension.measure(sample_of(np.eye(8)), None)
    assert value.value is None or value.value > 1e6


@pytest.mark.parametrize("dimension", [2, 8])
def test_a_subspace_is_covered_with_and_without_a_little_noise(sample_of, dimension: int) -> None:
    rng, held = np.random.default_rng(5), 0
    for draw in range(10):
        axes = np.linalg.qr(rng.standard_normal((60, dimension)))[0].T
        rows = rng.standard_normal((400, dimension)) @ axes
        rows += (draw % 2) * 1e-4 * rng.standard_normal(rows.shape)
        (value,) = intrinsic_dimension.measure(sample_of(rows), None)
        held += value.value is not None and value.low <= dimension <= value.high
    assert held >= 7


def test_more_dimensions_than_neighbours_tell_are_refused(sample_of) -> None:
    rows = np.random.default_rng(6).standard_normal((400, 30))
    (value,) = intrinsic_dimension.measure(sample_of(rows), None)
    assert (value.value, value.status) == (None, Status.TOO_FEW_ROWS)
    assert value.reason.startswith("about 2") and "neighbours tell at most 10" in value.reason


def test_noise_as_wide_as_neighbours_are_apart_is_no_dimension(sample_of) -> None:
    rng = np.random.default_rng(7)
    rows = np.zeros((800, 12))
    rows[:, :2] = rng.uniform(size=(800, 2))
    rows += 0.015 * rng.standard_normal(rows.shape)
    (value,) = intrinsic_dimension.measure(sample_of(rows), None)
    assert (value.value, value.status) == (None, Status.TOO_FEW_ROWS)
    assert "between those of a quarter of the prompts" in value.reason
