"""Edits of known rank and direction, and matrices with none."""

import numpy as np
import pytest

from analysis.status import Status
from analysis.weight_metrics import down_projection_rank1 as rank1

D, NEURONS = 20, 72


def edit(strengths, seed=0):
    """(matrix, its right singular vectors) with these singular values."""
    draw = np.random.default_rng(seed)
    left = np.linalg.qr(draw.standard_normal((NEURONS, len(strengths))))[0]
    right = np.linalg.qr(draw.standard_normal((D, len(strengths))))[0]
    return ((left * strengths) @ right.T).astype(np.float32), right.T


@pytest.mark.parametrize("strengths", [[1.0], [3.0, 1.0], [2.0, 1.0, 1.0], [1.0] * 4])
def test_the_share_of_an_edit_of_rank_k_is_that_of_its_strongest_direction(strengths):
    matrix, right = edit(strengths)
    top = rank1.top_direction(1e-5 * matrix)
    squares = np.square(strengths)
    assert top.share == pytest.approx(squares.max() / squares.sum(), rel=1e-5)
    if len(set(strengths)) == len(strengths):
        assert abs(top.direction @ right[0]) == pytest.approx(1, abs=1e-5)


def test_it_agrees_with_a_full_decomposition():
    matrix = np.random.default_rng(3).standard_normal((NEURONS, D)).astype(np.float32)
    left, singular, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    top = rank1.top_direction(matrix)
    sign = np.sign(left[:, 0].sum())
    assert top.share == pytest.approx(singular[0] ** 2 / np.square(singular).sum(), rel=1e-5)
    assert top.constancy == pytest.approx(left[:, 0].sum() ** 2 / NEURONS, abs=1e-4)
    np.testing.assert_allclose(top.direction, sign * right[0], atol=1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_bias_written_against_the_offset_is_told_with_its_sign(offset_of, sign):
    truth = np.random.default_rng(5).standard_normal(D)
    change = (-sign * 1e-4 * np.outer(np.ones(NEURONS), truth)).astype(np.float32)
    top = rank1.top_direction(change)
    assert (top.share, top.constancy) == pytest.approx((1, 1))
    value = rank1.value_at(top, offset_of(truth, noise=0.05))
    assert value.value == pytest.approx(sign, abs=0.01)
    assert value.low <= value.value <= value.high
    assert -1 < value.null_low < value.null_high < 1


def test_a_rotated_stream_or_a_scaled_change_gives_the_same(offset_of, rotation):
    matrix, turn = edit([3.0, 2.0, 1.0])[0] + np.float32(0.02), rotation(D)
    truth = np.random.default_rng(5).standard_normal(D)
    before = rank1.top_direction(matrix)
    after = rank1.top_direction((1e-30 * matrix @ turn).astype(np.float32))
    assert (after.share, after.constancy) == pytest.approx(
        (before.share, before.constancy), rel=1e-4
    )
    values = [
        rank1.value_at(top, offset_of(at)).value
        for top, at in ((before, truth), (after, truth @ turn))
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-4)


def test_random_matrices_sit_inside_their_bands():
    draw, inside = np.random.default_rng(8), np.zeros(2)
    for _ in range(200):
        values = rank1.values_of_weights(
            rank1.top_direction(draw.standard_normal((NEURONS, D)).astype(np.float32))
        )
        inside += [value.null_low <= value.value <= value.null_high for value in values]
    assert ((inside >= 175) & (inside <= 200)).all()


def test_the_band_of_a_wide_matrix_is_where_marchenko_and_pastur_put_the_edge():
    band = rank1.random_share(4096, 1024)
    edge = (1024**-0.5 + 4096**-0.5) ** 2
    assert band.low < edge < band.high
    assert band.high - band.low < 0.05 * edge


def test_95_percent_intervals_cover_the_truth(offset_of):
    matrix, right = edit([2.0, 1.0])
    top = rank1.top_direction(matrix)
    truth = np.random.default_rng(6).standard_normal(D) + 3 * right[0]
    real = -top.direction @ truth / np.linalg.norm(truth)
    covered = 0
    for seed in range(200):
        value = rank1.value_at(top, offset_of(truth, noise=0.5, per_group=20, seed=seed))
        covered += value.low <= real <= value.high
    assert 180 <= covered <= 196


def test_no_change_and_no_offset_are_reasons_and_not_numbers(offset_of):
    still = rank1.top_direction(np.zeros((NEURONS, D), np.float32))
    offset = offset_of(np.ones(D))
    found = [*rank1.values_of_weights(still), rank1.value_at(still, offset)]
    top = rank1.top_direction(edit([1.0])[0])
    found.append(rank1.value_at(top, offset_of(np.zeros(D))))
    assert {value.status for value in found} == {Status.BELOW_NOISE_FLOOR}
    assert all(value.value is None and value.reason for value in found)
