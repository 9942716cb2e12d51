import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.long_table.columns import to_rows
from analysis.long_table.seeds import over_seeds
from analysis.tables.power_laws import fit_families, fit_rows

SIZES = [1e5, 3e5, 1e6, 3e6, 1e7, 3e7]


def fit(sizes, values):
    """Fit one family, one row per size."""
    return fit_rows(to_rows(row("gpt2", *pair) for pair in zip(sizes, values, strict=True)))


@given(st.floats(-2, 2), st.floats(1e-3, 1e3))
def test_an_exact_power_law_is_recovered_with_no_uncertainty(exponent, prefactor):
    found = fit(SIZES, [prefactor * size**exponent for size in SIZES])
    assert found.exponent.value == pytest.approx(exponent, abs=1e-10)
    assert found.prefactor == pytest.approx(prefactor, rel=1e-8)
    assert found.exponent.high - found.exponent.low < 1e-9
    assert found.at(np.array(SIZES)) == pytest.approx(
        [prefactor * size**exponent for size in SIZES]
    )


def test_the_interval_covers_a_planted_exponent_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        found = fit(SIZES[:5], np.array(SIZES[:5]) ** 0.3 * np.exp(rng.normal(0, 0.2, 5)))
        hits += found.exponent.low <= 0.3 <= found.exponent.high
    assert 0.92 <= hits / 400 <= 0.98


def test_the_interval_is_that_of_scipy():
    from scipy.stats import linregress

    values = [1.0, 1.9, 2.8, 5.1, 7.7]
    found, known = fit(SIZES[:5], values), linregress(np.log(SIZES[:5]), np.log(values))
    assert found.exponent.value == pytest.approx(known.slope)
    assert found.exponent.high - found.exponent.value == pytest.approx(
        3.182446305284263 * known.stderr
    )


def test_leaving_one_size_out_shows_what_a_single_size_decides():
    values = [size**0.5 for size in SIZES[:5]]
    values[-1] *= 10
    found = fit(SIZES[:5], values)
    assert found.leave_one_out_low == pytest.approx(0.5)
    assert found.leave_one_out_high > found.exponent.value


def test_three_sizes_are_refused_and_four_are_descriptive():
    """Lesson 50: few sizes cannot support a law."""
    refused = fit(SIZES[:3], [1.0, 2.0, 3.0])
    assert (refused.status, refused.exponent) == ("too_few_sizes", None)
    assert refused.reason == "3 sizes, at least 4 are needed"
    assert fit(SIZES[:4], [1.0, 2.0, 3.0, 4.0]).descriptive
    assert fit(SIZES[:5], [1.0, 2.0, 3.0, 4.0, 5.0]).descriptive
    assert not fit(SIZES, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).descriptive


def test_the_same_size_twice_is_one_size():
    assert fit([1e5, 1e5, 1e6, 1e7], [1.0, 1.1, 2.0, 3.0]).status == "too_few_sizes"


def row(family, size, value, **over):
    return {"family": family, "num_parameters": size, "value": value, "metric": "m"} | over


def test_values_that_have_no_logarithm_are_counted_with_their_reason():
    failed = {"status": "job_failed", "reason": "killed"}
    rows = [row("gpt2", size, size**0.5) for size in SIZES[:4]]
    rows += [row("gpt2", 1e8, 0.0), row("gpt2", 2e8, -1.0), row("gpt2", 3e8, None, **failed)]
    found = fit_rows(to_rows(rows))
    assert found.num_sizes == 4 and found.num_dropped == 3
    assert found.dropped == "1 job_failed, 2 not positive"


def test_families_are_fitted_apart_from_the_mixture():
    rows = [row("gpt2", size, size**0.5) for size in SIZES]
    rows += [row("llama", size, 100 * size**0.2) for size in SIZES[:3]]
    gpt2, llama, mixed = fit_families(to_rows(rows))
    assert (gpt2.family, llama.family, mixed.family) == ("gpt2", "llama", "mixed")
    assert gpt2.exponent.value == pytest.approx(0.5) and llama.exponent is None
    assert mixed.exponent not in (None, pytest.approx(0.5))


def kept(values, shifts):
    """Rows that keep their values without each group: `shifts` in the logarithm, one list a row."""
    return to_rows(
        row(
            "gpt2",
            size,
            value,
            left_out=tuple(None if s is None else value * np.exp(s) for s in own),
        )
        for size, value, own in zip(SIZES, values, shifts, strict=False)
    )


def test_values_kept_without_each_group_widen_the_interval_by_what_sizes_share():
    rng = np.random.default_rng(0)
    slope_like = 0.02 * rng.standard_normal(20)[None] * np.log(SIZES[:5])[:, None]
    values = [size**0.5 for size in SIZES[:5]]
    found = fit_rows(kept(values, slope_like.tolist()))
    expected = (19 / 20 * np.square(slope_like[0] - slope_like[0].mean()).sum()) ** 0.5
    expected /= np.log(SIZES[0])
    half = found.exponent.high - found.exponent.value
    assert half == pytest.approx(2.093024 * expected, rel=1e-5)  # t(19)
    assert len(found.exponent.left_out) == 20 and found.caution is None
    assert fit(SIZES[:5], values).exponent.high == pytest.approx(0.5)


def test_a_size_without_rows_of_a_group_is_itself_without_it():
    shifts = np.full((5, 20), 0.01)
    shifts[:, 3] = np.linspace(0.1, 0.5, 5)
    values = [size**0.5 for size in SIZES[:5]]
    lacking = shifts.tolist()
    lacking[0][3] = None
    zero = shifts.copy()
    zero[0, 3] = 0.0
    found, known = (fit_rows(kept(values, s)) for s in (lacking, zero.tolist()))
    assert found.exponent.low == pytest.approx(known.exponent.low)
    nobody = [[*own[:3], None, *own[4:]] for own in shifts.tolist()]
    assert len(fit_rows(kept(values, nobody)).exponent.left_out) == 19


def test_where_a_size_has_no_values_without_groups_the_interval_says_what_it_lacks():
    values = [size**0.5 * off for size, off in zip(SIZES[:5], [1, 1.1, 1, 0.9, 1], strict=True)]
    rows = kept(values, np.full((5, 20), 0.01).tolist())
    rows[2]["left_out"] = None
    found = fit_rows(rows)
    assert found.caution == (
        "1 of 5 values are not known without each prompt group: errors that sizes share are not in "
        "the interval"
    )
    assert found.exponent == fit(SIZES[:5], values).exponent


@pytest.mark.parametrize("left_out", [[1.0] * 20, None])
@pytest.mark.parametrize("low", [0.4, 1.0])
def test_values_that_are_all_the_same_have_no_exponent(left_out, low):
    """Shares of 1 at all sizes, or the dose that is held equal: 0 ± 0 would be sure of itself."""
    ends = {"low": low, "high": 1.0, "left_out": left_out}
    found = fit_rows(to_rows(row("gpt2", size, 1.0, **ends) for size in SIZES))
    assert (found.status, found.exponent) == ("undefined", None)
    assert found.reason.startswith("all values are the same, and no prompt group moves them")


def test_a_value_that_no_group_moves_weighs_by_its_interval_and_is_not_the_surest():
    """A share of 1 with the interval 0.4 to 1 says little, and pulled the line to itself."""
    values, rng = [0.5, 0.55, 0.6, 1.0, 0.7], np.random.default_rng(2)
    rows = kept(values, rng.normal(0, 0.003, (5, 20)).tolist())
    for at, each in enumerate(rows):
        each |= {"low": values[at] * 0.98, "high": min(values[at] * 1.02, 1.0)}
    rows[3] |= {"low": 0.4, "left_out": (1.0,) * 20}
    found = fit_rows(rows)
    others = fit(SIZES[:3] + SIZES[4:5], values[:3] + values[4:])
    assert found.exponent.value == pytest.approx(others.exponent.value, abs=0.01)
    assert "no prompt group moves 1 of 5 values" in found.caution


def test_a_value_that_is_0_or_less_without_a_group_still_has_a_shift():
    rows = kept([1.0] * 5, np.zeros((5, 20)).tolist())
    rows[0]["left_out"] = (-0.1, *[1.0] * 19)
    assert np.isfinite(fit_rows(rows).exponent.high)


def test_refused_numbers_enter_no_fit_and_are_counted():
    refused = {"status": "too_few_rows", "reason": "40 prompts, 90 are needed"}
    rows = [row("gpt2", size, size**0.5) for size in SIZES[:4]]
    rows += [row("gpt2", 1e8, 55.0, **refused), row("gpt2", 2e8, None, **refused)]
    found = fit_rows(to_rows(rows))
    assert (found.num_sizes, found.dropped) == (4, "2 too_few_rows")
    assert found.exponent.value == pytest.approx(0.5)


def test_values_whose_interval_reaches_0_are_told():
    rows = [row("gpt2", size, size**0.5, low=-1.0 if size == 1e5 else 1.0) for size in SIZES[:4]]
    assert "1 of 4 values have 0 in their interval" in fit_rows(to_rows(rows)).caution


def test_means_over_seeds_are_fitted_without_each_group_too():
    rng = np.random.default_rng(1)
    shifts = rng.normal(0, 0.02, (5, 20)).tolist()
    values = [size**0.5 for size in SIZES[:5]]
    seeds = [
        one | {"seed": seed, "model": f"m{number}", "key": f"{seed}{number}"}
        for seed in (0, 1)
        for number, one in enumerate(kept(values, shifts))
    ]
    found, alone = fit_rows(over_seeds(seeds)), fit_rows(kept(values, shifts))
    assert found.exponent.left_out == pytest.approx(alone.exponent.left_out)
