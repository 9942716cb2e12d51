import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.long_table.columns import to_rows
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
