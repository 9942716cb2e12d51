"""Moments: any split of the rows merges to the one-pass result, in either form of the scatter."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from analysis.rows.moments import Moments


def rows_of(seed: int, num_rows: int, dimension: int, offset: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((num_rows, dimension)) + offset).astype(np.float32)


def assert_same(found: Moments, rows: np.ndarray) -> None:
    exact = rows.astype(np.float64)
    centred = exact - exact.mean(axis=0)
    expected = centred.T @ centred
    assert found.num_rows == len(rows)
    np.testing.assert_allclose(
        found.mean, exact.mean(axis=0), rtol=0, atol=1e-12 * np.abs(rows).max()
    )
    error = np.abs(found.scatter.dense() - expected).max()
    assert error <= 1e-12 * max(np.abs(expected).max(), np.abs(exact).max() ** 2)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    dimension=st.integers(1, 12),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(lambda sizes: sum(sizes) > 0),
    offset=st.sampled_from([0.0, 1.0, 30.0]),
    backwards=st.booleans(),
)
def test_any_split_merges_to_the_one_pass_result(
    seed: int, dimension: int, sizes: list[int], offset: float, backwards: bool
) -> None:
    rows = rows_of(seed, sum(sizes), dimension, offset)
    parts = [Moments.from_rows(part) for part in np.split(rows, np.cumsum(sizes)[:-1])]
    assert_same(reduce(Moments.merge, parts, Moments.empty(dimension)), rows)
    if backwards:  # another tree of merges: from the right
        assert_same(reduce(lambda done, part: part.merge(done), reversed(parts)), rows)


def test_rows_stay_rows_while_fewer_than_d_and_become_a_matrix_after() -> None:
    rows = rows_of(0, 40, 16)
    few = Moments.from_rows(rows[:8]).merge(Moments.from_rows(rows[8:14]))
    assert few.scatter.factored and few.scatter.values.shape == (15, 16)
    many = few.merge(Moments.from_rows(rows[14:]))
    assert not many.scatter.factored
    assert_same(many, rows)


def test_rows_merged_one_by_one_keep_a_factor_with_one_row_less_than_there_are_rows() -> None:
    rows = rows_of(0, 10, 16)
    merged = reduce(Moments.merge, [Moments.from_rows(row[None]) for row in rows])
    assert merged.scatter.values.shape == (9, 16)
    assert_same(merged, rows)


def test_many_merged_at_once_are_the_same_as_one_by_one() -> None:
    rows = rows_of(8, 90, 12, offset=2.0)
    for sizes in ([3, 20, 1, 0, 15, 30, 21], [2, 3, 1], [0], [40, 50]):
        parts = [Moments.from_rows(part) for part in np.split(rows, np.cumsum(sizes))[:-1]]
        whole = Moments.merge_all(iter(parts))
        one_by_one = reduce(Moments.merge, parts)
        assert (
            whole.num_rows == sum(sizes) and whole.scatter.factored == one_by_one.scatter.factored
        )
        np.testing.assert_allclose(whole.mean, one_by_one.mean, atol=1e-14)
        np.testing.assert_allclose(
            whole.scatter.dense(), one_by_one.scatter.dense(), atol=1e-12 * 90 * 9
        )


def test_factor_and_dense_forms_answer_alike() -> None:
    rows = rows_of(1, 9, 12, offset=2.0)
    factor = Moments.from_rows(rows)
    dense = Moments.from_scatter(9, factor.mean, factor.scatter.dense())
    for centred in (False, True):
        np.testing.assert_allclose(
            factor.covariance(centred), dense.covariance(centred), atol=1e-13
        )
    more = Moments.from_rows(rows_of(2, 3, 12))
    np.testing.assert_allclose(
        factor.merge(more).scatter.dense(), dense.merge(more).scatter.dense(), atol=1e-12
    )


def test_covariances_are_numpys() -> None:
    rows = rows_of(3, 50, 6, offset=1.0).astype(np.float64)
    moments = Moments.from_rows(rows)
    np.testing.assert_allclose(moments.covariance(True), np.cov(rows.T), atol=1e-12)
    np.testing.assert_allclose(moments.covariance(False), rows.T @ rows / 50, atol=1e-12)


def test_a_large_mean_does_not_eat_the_spread() -> None:
    """Lesson 5: an uncentred Gram matrix cancels."""
    rows = np.float64(1e6) + rows_of(4, 30, 3).astype(np.float64)
    merged = reduce(Moments.merge, [Moments.from_rows(part) for part in np.split(rows, 10)])
    np.testing.assert_allclose(merged.covariance(True), np.cov(rows.T), rtol=1e-7, atol=1e-9)


def test_covariance_of_too_few_rows_is_refused() -> None:
    one = Moments.from_rows(rows_of(5, 1, 3))
    with pytest.raises(ValueError, match="needs 2 rows, there are 1"):
        one.covariance(centred=True)
    with pytest.raises(ValueError, match="needs 1 rows, there are 0"):
        Moments.empty(3).covariance(centred=False)


@pytest.mark.parametrize("num_rows", [0, 1, 5, 20])
def test_moments_survive_a_safetensors_file(num_rows: int) -> None:
    moments = Moments.from_rows(rows_of(6, num_rows, 8))
    back = Moments.from_arrays(load(save(moments.to_arrays())))
    assert back.num_rows == num_rows and back.scatter.factored == moments.scatter.factored
    assert np.array_equal(back.mean, moments.mean)
    assert np.array_equal(back.scatter.values, moments.scatter.values)
