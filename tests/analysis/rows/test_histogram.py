"""Histograms: merging is exact, quantiles are right to 1 %."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from analysis.rows.histogram import Histogram, quantiles_of_counts

positive = st.lists(st.floats(1e-11, 1e5), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(values=positive, share=st.floats(0.01, 0.99))
def test_a_quantile_is_within_one_percent_of_an_order_statistic(
    values: list[float], share: float
) -> None:
    found = Histogram.from_values(np.array(values)).quantile(share)
    ordered = np.sort(values)
    at = int(np.ceil(share * len(values))) - 1
    near = ordered[max(at - 1, 0) : at + 2]  # rounding of share * n may pick a neighbour
    assert (np.abs(found / near - 1) < 0.0182).any()
    assert ordered[0] <= found <= ordered[-1]


def test_quantiles_of_a_smooth_sample_are_right_to_one_percent() -> None:
    values = np.exp(np.random.default_rng(0).standard_normal(50_000))
    histogram = Histogram.from_values(values)
    for share in (0.05, 0.5, 0.95):
        assert histogram.quantile(share) == pytest.approx(np.quantile(values, share), rel=0.01)


@settings(max_examples=30, deadline=None)
@given(first=positive, second=st.lists(st.floats(0, 1e5), max_size=20))
def test_merging_counts_the_values_of_both(first: list[float], second: list[float]) -> None:
    merged = Histogram.from_values(np.array(first)).merge(Histogram.from_values(np.array(second)))
    whole = Histogram.from_values(np.array(first + second))
    assert np.array_equal(merged.counts, whole.counts)
    assert (merged.smallest, merged.largest) == (whole.smallest, whole.largest)
    assert merged.mean == pytest.approx(np.mean(first + second), rel=1e-12)


def test_zeros_count_below_everything_else() -> None:
    histogram = Histogram.from_values(np.array([0.0, 0.0, 0.0, 5.0]))
    assert histogram.counts[0] == 3
    assert histogram.quantile(0.5) == 0.0
    assert histogram.quantile(0.9) == pytest.approx(5.0)


def test_values_outside_the_decades_are_kept_in_the_outermost_bins() -> None:
    histogram = Histogram.from_values(np.array([1e-30, 1.0, 1e30]))
    assert histogram.num_values == 3
    assert (histogram.smallest, histogram.largest) == (1e-30, 1e30)
    assert histogram.quantile(0.5) == pytest.approx(1.0, rel=0.01)


def test_one_value_is_every_quantile_exactly() -> None:
    histogram = Histogram.from_values(np.full(7, 0.3))
    assert histogram.quantile(0.05) == histogram.quantile(0.95) == 0.3


def test_an_empty_histogram_refuses_quantiles_and_means() -> None:
    empty = Histogram.empty()
    with pytest.raises(ValueError, match="no quantiles"):
        empty.quantile(0.5)
    with pytest.raises(ValueError, match="no mean"):
        _ = empty.mean
    values = Histogram.from_values(np.array([1.0]))
    assert np.array_equal(empty.merge(values).counts, values.counts)


def test_weighted_quantiles_follow_the_weights() -> None:
    columns = np.array([0, 1 + 12 * 128, 1 + 13 * 128])  # zeros, [1, 1.018), [10, 10.18)
    counts = np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 1.0], [5.0, 1.0, 1.0]])
    found = quantiles_of_counts(counts, columns, 0.5)
    assert found[0] == pytest.approx(10, rel=0.02)
    assert found[1] == pytest.approx(1, rel=0.02)
    assert found[2] == 0.0


@pytest.mark.parametrize("values", [[], [0.0, 2.0, 2.0, 1e-3]])
def test_a_histogram_survives_a_safetensors_file(values: list[float]) -> None:
    histogram = Histogram.from_values(np.array(values))
    back = Histogram.from_arrays(load(save(histogram.to_arrays())))
    assert np.array_equal(back.counts, histogram.counts)
    assert (back.total, back.smallest, back.largest) == (
        histogram.total,
        histogram.smallest,
        histogram.largest,
    )
