"""Intervals over groups: textbook cases, unequal groups, few groups, and coverage."""

import numpy as np
import pytest
from scipy import stats

from analysis.estimates.intervals import (
    MIN_GROUPS,
    Estimate,
    group_draws,
    jackknife,
    left_out_weights,
    percentile_interval,
    student_quantile,
)


def mean_jackknife(values: np.ndarray, counts: np.ndarray) -> Estimate:
    total, rows = (values * counts).sum(), counts.sum()
    left_out = (total - values * counts) / (rows - counts)
    return jackknife(total / rows, left_out, counts, correct=True)


def test_the_jackknife_of_a_mean_of_equal_groups_is_the_t_interval() -> None:
    values = np.random.default_rng(0).standard_normal(20)
    estimate = mean_jackknife(values, np.ones(20))
    expected = stats.t.interval(0.95, 19, loc=values.mean(), scale=stats.sem(values))
    assert (estimate.low, estimate.high) == pytest.approx(expected)
    assert estimate.value == pytest.approx(values.mean())


def test_the_jackknife_of_a_weighted_mean_is_not_biased_by_unequal_groups() -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 30, 12).astype(float)
    values = rng.standard_normal(12)
    estimate = mean_jackknife(values, counts)
    assert estimate.value == pytest.approx(np.average(values, weights=counts))


def test_the_jackknife_takes_the_bias_out_of_a_variance() -> None:
    values = np.random.default_rng(2).standard_normal(9)
    left_out = np.array([np.delete(values, i).var() for i in range(9)])
    estimate = jackknife(float(values.var()), left_out, correct=True)
    assert estimate.value == pytest.approx(values.var(ddof=1))
    assert jackknife(float(values.var()), left_out).value == values.var()
    # The correction moves what is left out as well: a fit sees the same differences.
    moved = np.array(estimate.left_out) - left_out
    assert moved == pytest.approx(np.full(9, estimate.value - values.var()))


def test_intervals_over_unequal_groups_cover_as_often_as_they_say() -> None:
    """Lesson 48: tokens are not independent; groups of prompts are."""
    rng = np.random.default_rng(3)
    counts = rng.integers(5, 60, 20).astype(float)
    hits = 0
    for _ in range(400):
        estimate = mean_jackknife(rng.standard_normal(20) / np.sqrt(counts), counts)
        assert estimate.low is not None and estimate.high is not None
        hits += estimate.low <= 0 <= estimate.high
    assert 0.91 <= hits / 400 <= 0.985


@pytest.mark.parametrize("num_groups", [1, 2, MIN_GROUPS - 1])
def test_few_groups_give_a_value_without_an_interval(num_groups: int) -> None:
    assert jackknife(1.0, np.ones(num_groups)) == Estimate(value=1.0)
    assert percentile_interval(1.0, np.ones(10), np.ones(num_groups)) == Estimate(value=1.0)


def test_a_statistic_undefined_without_some_group_gets_no_interval() -> None:
    assert jackknife(1.0, np.array([1.0, np.nan, 1.0, 1.0, 1.0, 1.0])) == Estimate(value=1.0)


def test_bootstrap_draws_are_the_same_every_time_and_draw_as_many_groups_as_there_are() -> None:
    first = group_draws(20).copy()
    group_draws.cache_clear()
    assert np.array_equal(first, group_draws(20))
    assert (first.sum(axis=1) == 20).all()
    assert first.mean() == pytest.approx(1.0)


def test_bootstrap_intervals_of_a_mean_are_as_wide_as_the_t_interval() -> None:
    values = np.random.default_rng(4).standard_normal(20)
    drawn = group_draws(20) @ values / 20
    left_out = left_out_weights(20) @ values / 19
    estimate = percentile_interval(float(values.mean()), drawn, left_out)
    assert estimate.left_out == pytest.approx([np.delete(values, i).mean() for i in range(20)])
    low, high = stats.t.interval(0.95, 19, loc=values.mean(), scale=stats.sem(values))
    assert estimate.low is not None and estimate.high is not None
    assert estimate.high - estimate.low == pytest.approx(high - low, rel=0.1)


def test_student_quantiles_are_scipys() -> None:
    assert student_quantile(19) == pytest.approx(stats.t.ppf(0.975, 19))


def test_an_estimate_can_be_clipped_and_mapped() -> None:
    estimate = Estimate(value=1.2, low=0.5, high=1.9, left_out=(0.9, 1.5))
    clipped = Estimate(value=1.0, low=0.5, high=1.0, left_out=(0.9, 1.0))
    assert estimate.within(-1, 1) == clipped
    doubled = Estimate(value=2.4, low=1.0, high=3.8, left_out=(1.8, 3.0))
    assert estimate.map(lambda x: 2 * x) == doubled
    assert Estimate(value=3.0).within(0, 1) == Estimate(value=1.0)


def test_an_error_that_is_added_joins_each_half_in_squares() -> None:
    wider = Estimate(value=1.0, low=-2.0, high=6.0).widened(4.0, 12.0)
    assert (wider.value, wider.low, wider.high) == (1.0, -4.0, 14.0)
    assert Estimate(value=1.0).widened(4.0, 12.0) == Estimate(value=1.0)
