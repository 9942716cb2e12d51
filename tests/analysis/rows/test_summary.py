"""Group summaries: whole prompts merge to the one-pass summary and survive a file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from analysis.rows.summary import GroupSummary


def assert_same(first: GroupSummary, second: GroupSummary) -> None:
    for name in ("num_rows", "num_prompts", "num_nonfinite"):
        assert getattr(first, name) == getattr(second, name)
    assert np.array_equal(first.norms.counts, second.norms.counts)
    assert np.array_equal(first.relative_norms.counts, second.relative_norms.counts)
    np.testing.assert_allclose(first.directions.unit_sum, second.directions.unit_sum, atol=1e-12)
    assert (first.moments is None) == (second.moments is None)
    if first.moments and second.moments:
        np.testing.assert_allclose(first.moments.mean, second.moments.mean, atol=1e-12)
        scatters = first.moments.scatter.dense(), second.moments.scatter.dense()
        np.testing.assert_allclose(*scatters, atol=1e-12)


def rows_of(seed: int, prompts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((len(prompts), 4)).astype(np.float32)
    return rows, rng.uniform(1, 2, len(prompts)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), cut=st.integers(0, 5), moments=st.booleans())
def test_units_of_whole_prompts_merge_to_the_one_pass_summary(
    seed: int, cut: int, moments: bool
) -> None:
    prompts = np.repeat(np.arange(5), 3)
    rows, base = rows_of(seed, prompts)
    first = prompts < cut
    merged = GroupSummary.merge_all(
        [
            GroupSummary.from_rows(rows[part], base[part], prompts[part], moments)
            for part in (first, ~first)
        ]
    )
    assert_same(merged, GroupSummary.from_rows(rows, base, prompts, moments))


def test_rows_that_are_not_numbers_are_counted_and_enter_nothing() -> None:
    rows, base = rows_of(0, np.arange(5))
    rows[1, 2], base[3] = np.nan, np.inf
    summary = GroupSummary.from_rows(rows, base, np.arange(5), moments=True)
    assert (summary.num_rows, summary.num_nonfinite, summary.num_prompts) == (3, 2, 3)
    kept = [0, 2, 4]
    clean = GroupSummary.from_rows(rows[kept], base[kept], np.array(kept), moments=True)
    assert np.array_equal(clean.norms.counts, summary.norms.counts)


def test_norms_are_divided_by_the_base_norm_where_it_is_not_zero() -> None:
    rows = np.array([[3.0, 4.0], [0.0, 1.0]], dtype=np.float32)
    summary = GroupSummary.from_rows(rows, np.array([10.0, 0.0]), np.arange(2), moments=False)
    assert summary.norms.largest == pytest.approx(5.0)
    assert summary.relative_norms.num_values == 1
    assert summary.relative_norms.largest == pytest.approx(0.5)


@pytest.mark.parametrize("moments", [True, False])
def test_a_summary_survives_a_safetensors_file_beside_others(moments: bool) -> None:
    rows, base = rows_of(1, np.arange(6))
    summary = GroupSummary.from_rows(rows, base, np.arange(6), moments)
    other = GroupSummary.from_rows(rows[:2], base[:2], np.arange(2), moments)
    arrays = summary.to_arrays("a/3/") | other.to_arrays("a/31/")
    assert all(name.startswith("a/3") for name in arrays)
    stored = load(save(arrays))
    assert_same(GroupSummary.from_arrays(stored, "a/3/"), summary)
    assert_same(GroupSummary.from_arrays(stored, "a/31/"), other)
