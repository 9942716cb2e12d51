"""A line through few models: weights, both parts of its interval, and what correlated errors do."""

import numpy as np
import pytest

from analysis.estimates.intervals import jackknife_variances, student_quantile
from analysis.estimates.meta_regression import fit_line

X = np.log([1e5, 3e5, 1e6, 3e6, 1e7, 3e7])
Y = np.array([0.1, 0.75, 1.0, 1.9, 2.05, 2.9])
VARIANCES = np.array([0.04, 0.01, 0.02, 0.005, 0.03, 0.01])


def shifts_of(variances: np.ndarray, seed: int = 0, num_groups: int = 20) -> np.ndarray:
    """Independent shifts of models, with exactly these jackknife variances."""
    drawn = np.random.default_rng(seed).standard_normal((len(variances), num_groups))
    return drawn * np.sqrt(variances / jackknife_variances(drawn))[:, None]


def test_weights_and_the_scatter_are_those_of_random_effects_with_knapp_and_hartung() -> None:
    """Compared with statsmodels 0.15.0: WLS with 1 / (v + τ²) at PyMARE's τ² of 0.0190117."""
    shifts = shifts_of(VARIANCES)
    line = fit_line(X, Y, shifts)
    assert line.slope.value == pytest.approx(0.47260131)
    assert line.intercept == pytest.approx(-5.30251851)
    among_models = 0.58879466 - 0.47260131
    variance = jackknife_variances(np.array(line.slope.left_out)[None])[0]
    among_prompts = student_quantile(19) * variance**0.5
    half = line.slope.high - line.slope.value
    assert half == pytest.approx(np.hypot(among_models, among_prompts), rel=1e-6)


def test_the_slope_without_a_group_is_that_of_the_numbers_without_it() -> None:
    shifts = shifts_of(np.full(6, 0.01))
    line = fit_line(X, Y, shifts)
    for group, slope in enumerate(line.slope.left_out):
        moved = fit_line(X, Y + shifts[:, group])  # equal variances: all models weigh the same
        assert slope == pytest.approx(moved.slope.value)


def test_without_shifts_it_is_least_squares_with_students_t() -> None:
    from scipy.stats import linregress

    line, known = fit_line(X, Y), linregress(X, Y)
    assert line.slope.value == pytest.approx(known.slope)
    assert line.slope.high - line.slope.value == pytest.approx(student_quantile(4) * known.stderr)
    assert line.slope.left_out == ()


def test_a_model_that_prompts_leave_sure_weighs_more() -> None:
    off = Y.copy()
    off[-1] += 1.0
    sure, unsure = (
        fit_line(X, off, shifts_of(np.array([0.01] * 5 + [last]))).slope.value for last in (1e-3, 1)
    )
    without, same = fit_line(X[:-1], Y[:-1]).slope.value, fit_line(X, off).slope.value
    assert abs(unsure - without) < 0.1 * abs(same - without) < abs(sure - without)


def test_numbers_that_no_prompt_moves_weigh_the_same() -> None:
    line = fit_line(X, Y, np.zeros((6, 20)))
    assert line.slope.value == pytest.approx(fit_line(X, Y).slope.value)
    assert line.slope.high == pytest.approx(fit_line(X, Y).slope.high)


@pytest.mark.parametrize("num_models", [4, 7])
@pytest.mark.parametrize(
    ("like_a_slope", "scatter"), [(0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 2.0)]
)
def test_intervals_hold_a_planted_slope_whose_errors_models_share(
    num_models: int, like_a_slope: float, scatter: float
) -> None:
    """An error that grows along x bends no line: by scatter alone it is held in 4 of 10 draws."""
    x = np.linspace(0.0, 4.0, num_models)
    rng, covered, by_scatter, draws = np.random.default_rng(3), 0, 0, 120
    for _ in range(draws):
        shared, own = rng.standard_normal((20, 1)), rng.standard_normal((20, num_models))
        slope_like = like_a_slope * rng.standard_normal((20, 1)) * (x - x.mean())
        errors = shared + 0.5 * own + slope_like
        y = 0.5 * x + errors.mean(axis=0) + scatter * rng.standard_normal(num_models)
        shifts = (errors.sum(axis=0) - errors) / 19 - errors.mean(axis=0)
        line, plain = fit_line(x, y, shifts.T.copy()).slope, fit_line(x, y).slope
        covered += line.low <= 0.5 <= line.high
        by_scatter += plain.low <= 0.5 <= plain.high
    assert covered >= 0.9 * draws
    assert not like_a_slope or scatter or by_scatter < 0.6 * draws
