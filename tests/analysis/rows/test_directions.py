"""Sums of unit rows: prompts in any order, zero rows counted apart, merged by addition."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from analysis.rows.directions import DirectionSums


def assert_same(first: DirectionSums, second: DirectionSums) -> None:
    np.testing.assert_allclose(first.unit_sum, second.unit_sum, atol=1e-12)
    np.testing.assert_allclose(first.prompt_square, second.prompt_square, rtol=1e-12)
    for name in ("num_rows", "num_zero_rows", "prompt_count_square"):
        assert getattr(first, name) == getattr(second, name)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    cut=st.integers(0, 6),
    lengths=st.lists(st.integers(1, 4), min_size=6, max_size=6),
)
def test_units_of_whole_prompts_merge_to_the_one_pass_result(
    seed: int, cut: int, lengths: list[int]
) -> None:
    prompts = np.repeat(np.arange(6), lengths)
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((len(prompts), 5)).astype(np.float32)
    rows[rng.random(len(rows)) < 0.1] = 0
    first = prompts < cut
    merged = DirectionSums.from_rows(rows[first], prompts[first]).merge(
        DirectionSums.from_rows(rows[~first], prompts[~first])
    )
    shuffled = rng.permutation(len(rows))
    assert_same(merged, DirectionSums.from_rows(rows[shuffled], prompts[shuffled]))
    assert_same(merged.merge(DirectionSums.empty(5)), merged)


def test_sums_are_those_of_the_definition_and_zero_rows_are_counted_apart() -> None:
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    sums = DirectionSums.from_rows(rows, np.array([7, 7, 7, 1]))
    np.testing.assert_allclose(sums.unit_sum, [0.6 - 1.0, 0.8 + 1.0])
    np.testing.assert_allclose(sums.prompt_square, (0.6**2 + 1.8**2) + 1.0)
    assert (sums.num_rows, sums.num_zero_rows, sums.prompt_count_square) == (3, 1, 4 + 1)


def test_rows_that_are_all_zero_have_no_direction() -> None:
    sums = DirectionSums.from_rows(np.zeros((3, 2)), np.arange(3))
    assert (sums.num_rows, sums.num_zero_rows, sums.prompt_count_square) == (0, 3, 0)


def test_sums_survive_a_safetensors_file() -> None:
    sums = DirectionSums.from_rows(np.eye(4), np.array([0, 0, 1, 2]))
    assert_same(DirectionSums.from_arrays(load(save(sums.to_arrays()))), sums)
