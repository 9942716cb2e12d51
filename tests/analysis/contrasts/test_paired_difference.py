"""Paired differences: the paired t test of means, seeds, wider intervals, groups not shared."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.contrasts.paired_difference import paired_difference
from analysis.contrasts.sides import Sides, differences
from analysis.estimates.intervals import Estimate, jackknife
from analysis.long_table.seeds import t_interval
from analysis.measurement import LeftOut, Measurement
from analysis.metrics.relative_norm import RelativeNorm
from analysis.status import Status


def measured(values: np.ndarray, missing: tuple[int, ...] = ()) -> Measurement:
    """Return the mean of equal prompt groups, as a job leaves it."""
    here = np.array([n for n in range(len(values)) if n not in missing])
    own = values[here]
    left_out = (own.sum() - own) / (len(own) - 1)
    kept: list[float | None] = [None] * len(values)
    for place, number in zip(here, left_out, strict=True):
        kept[place] = float(number)
    return of_estimate(jackknife(float(own.mean()), left_out), tuple(kept), len(own))


def of_estimate(number: Estimate, kept: LeftOut, num_groups: int = 20) -> Measurement:
    return Measurement(
        metric="mean",
        definition="v1",
        value=number.value,
        low=number.low,
        high=number.high,
        num_groups=num_groups,
        left_out=kept,
    )


def correlated(rho: float, groups: int = 20) -> tuple[np.ndarray, np.ndarray]:
    shared, own, other = np.random.default_rng(3).standard_normal((3, groups))
    return tuple(rho**0.5 * shared + (1 - rho) ** 0.5 * one for one in (own, other))


def test_the_paired_difference_of_two_means_is_the_paired_t_interval() -> None:
    first, second = correlated(0.9)
    got = paired_difference(measured(first), measured(second))
    apart = first - second
    expected = stats.t.interval(0.95, 19, loc=apart.mean(), scale=stats.sem(apart))
    assert got is not None and (got.low, got.high) == pytest.approx(expected)
    assert got.left_out == pytest.approx((apart.sum() - apart) / 19)
    alone = stats.t.interval(0.95, 19, loc=first.mean(), scale=stats.sem(first))
    assert got.high - got.low < alone[1] - alone[0]


def test_negative_correlation_makes_it_wider_than_independence() -> None:
    first, _ = correlated(0.5)
    number, opposite = measured(first), measured(-first)
    got = paired_difference(number, opposite)
    assert got is not None and got.high is not None and number.high is not None
    assert got.high - got.value == pytest.approx(2 * (number.high - (number.value or 0)))


def test_a_group_without_rows_on_one_side_still_counts_for_the_other() -> None:
    first, second = correlated(0.5)
    got = paired_difference(measured(first), measured(second, missing=(0,)))
    assert got is not None and len(got.left_out) == 20
    both_lack = paired_difference(measured(first, missing=(0,)), measured(second, missing=(0,)))
    assert both_lack is not None and len(both_lack.left_out) == 19


def test_an_interval_wider_than_its_left_out_values_widens_the_difference() -> None:
    first, second = correlated(0.5)
    one, other = measured(first), measured(second)
    plain = paired_difference(one, other)
    assert plain is not None and plain.low is not None
    assert one.value is not None and one.low is not None and one.high is not None
    got = paired_difference(wider(one, 1.2), other)
    assert got is not None and got.low is not None
    assert got.value - got.low == pytest.approx(1.2 * (plain.value - plain.low))
    assert paired_difference(wider(one, 1.3), other) is None  # not smooth


def wider(number: Measurement, factor: float) -> Measurement:
    assert number.value is not None and number.low is not None and number.high is not None
    ends = (number.value + factor * (end - number.value) for end in (number.low, number.high))
    return replace(number, low=next(ends), high=next(ends))


def test_a_count_that_no_group_moves_is_not_paired() -> None:
    first, second = correlated(0.5)
    count = of_estimate(Estimate(value=7.0, low=6.0, high=9.0), (7.0,) * 20)
    assert paired_difference(count, measured(second)) is None
    constant = of_estimate(Estimate(value=0.0, low=0.0, high=0.0), (0.0,) * 20)
    got = paired_difference(measured(first), constant)
    assert got is not None and got.high == pytest.approx(measured(first).high)


@pytest.mark.filterwarnings("error")
def test_quantiles_over_rows_are_not_paired_however_wide_their_intervals() -> None:
    """Two that move alike with the one prompt beside them: their difference would not move."""
    moves = np.eye(20)[3]
    sides = [
        replace(
            of_estimate(Estimate(value=value, low=0.0, high=2.0), tuple(value + moves)),
            definition=RelativeNorm.DEFINITION,
        )
        for value in (1.0, 1.1)
    ]
    both, is_paired = differences(Sides.of(sides), Sides.of(sides[::-1]))
    assert not is_paired.any()
    assert both.p_values.min() > 0.8


def test_uncounted_words_widen_their_own_side() -> None:
    first, second = correlated(0.5)
    one, other = measured(first), measured(second)
    plain = paired_difference(one, other)
    got = paired_difference(raised(one, 0.25), raised(other, 0.5))
    assert plain is not None and got is not None
    assert plain.low is not None and plain.high is not None
    assert (got.low, got.high) == pytest.approx((plain.low - 0.5, plain.high + 0.25))


def raised(number: Measurement, uncounted: float) -> Measurement:
    assert number.high is not None
    return replace(number, uncounted=uncounted, high=number.high + uncounted)


def test_seeds_add_their_own_error_to_that_of_prompts() -> None:
    first, second = correlated(0.5)
    plain = paired_difference(measured(first), measured(second))
    low, high = t_interval([0.1, 0.2, 0.4])
    one, middle = measured(first), float(np.mean([0.1, 0.2, 0.4]))
    assert plain is not None and plain.high is not None
    assert one.value is not None and one.high is not None
    half = float(np.hypot(one.high - one.value, high - middle))  # as `over_seeds` joins them
    seeds = replace(one, low=one.value - half, high=one.value + half, num_seeds=3)
    got = paired_difference(seeds, measured(second))
    assert got is not None and got.high is not None
    assert got.high - got.value == pytest.approx(np.hypot(plain.high - plain.value, high - middle))


@pytest.mark.parametrize(
    "lacking",
    [
        {"left_out": None},
        {"low": None, "high": None},
        {"value": None, "low": None, "high": None},
        {"status": Status.BELOW_NOISE_FLOOR},
    ],
)
def test_without_what_it_needs_there_is_none(lacking: dict[str, object]) -> None:
    first, second = map(measured, correlated(0.5))
    assert paired_difference(replace(first, **lacking), second) is None  # type: ignore[arg-type]
    assert paired_difference(second, replace(first, **lacking)) is None  # type: ignore[arg-type]


def test_fewer_than_five_groups_in_both_are_not_shared() -> None:
    first, second = correlated(0.5)
    some, others = measured(first, tuple(range(10, 20))), measured(second, tuple(range(6)))
    assert paired_difference(some, others) is None
    assert paired_difference(some, measured(second, tuple(range(5)))) is not None
