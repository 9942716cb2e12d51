"""p values, Holm's adjustment and the smallest visible difference against textbook formulas."""

import numpy as np
import pytest
from scipy import stats

from analysis.contrasts.differences import Differences, holm


def of(value: float, *errors: tuple[float, float]) -> Differences:
    sizes = np.array([[error for error, _ in errors]])
    return Differences(
        value=np.array([value]),
        below=sizes,
        above=sizes,
        degrees=np.array([[degrees for _, degrees in errors]]),
        lower=np.zeros(1),
        higher=np.zeros(1),
    )


@pytest.mark.parametrize("value", [0.0, 0.3, -2.5, 40.0])
def test_with_one_error_the_p_value_is_that_of_the_t_test(value: float) -> None:
    (got,) = of(value, (1.0, 19.0)).p_values
    assert got == pytest.approx(2 * stats.t.sf(abs(value), 19), rel=1e-9)


def test_the_interval_ends_at_zero_where_p_is_five_per_cent() -> None:
    wide = of(0.0, (1.0, 19.0), (0.5, 2.0))
    (half,) = wide.high()
    assert half == pytest.approx(np.hypot(stats.t.ppf(0.975, 19), 0.5 * stats.t.ppf(0.975, 2)))
    (got,) = of(half, (1.0, 19.0), (0.5, 2.0)).p_values
    assert got == pytest.approx(0.05)


def test_without_any_error_there_is_no_p_value_but_of_no_difference() -> None:
    assert np.isnan(of(0.3, (0.0, 19.0)).p_values[0])
    assert of(0.0, (0.0, 19.0)).p_values[0] == 1


def test_words_left_uncounted_may_be_the_whole_difference() -> None:
    both = Differences(
        value=np.array([0.3, -0.3]),
        below=np.full((2, 1), 0.01),
        above=np.full((2, 1), 0.01),
        degrees=np.full((2, 1), 19.0),
        lower=np.array([0.5, 0.5]),
        higher=np.zeros(2),
    )
    assert both.p_values[0] == 1 and both.p_values[1] < 1e-9


def test_holm_multiplies_by_how_many_are_left_and_never_falls() -> None:
    got = holm(np.array([0.04, 0.001, np.nan, 0.03, 0.2]))
    assert got == pytest.approx([0.09, 0.004, np.nan, 0.09, 0.2], nan_ok=True)
    assert holm(np.array([0.4, 0.6])).tolist() == [0.8, 0.8]
    assert holm(np.full(30, 0.9)).max() == 1.0


@pytest.mark.parametrize("level", [0.05, 0.005])
def test_the_smallest_visible_difference_has_eighty_per_cent_power(level: float) -> None:
    errors = of(0.0, (2.0, 7.0))
    (smallest,) = errors.smallest_visible(np.array([level]))
    critical = stats.t.ppf(1 - level / 2, 7)
    power = stats.nct.sf(critical, 7, smallest / 2) + stats.nct.cdf(-critical, 7, smallest / 2)
    assert power == pytest.approx(0.8, abs=1e-4)
