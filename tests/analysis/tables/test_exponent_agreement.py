from dataclasses import replace

import numpy as np
import pytest

from analysis.long_table.columns import to_rows
from analysis.tables.exponent_agreement import disagreement
from analysis.tables.power_laws import SIZES, fit_rows

WIDTHS = np.array([64.0, 128.0, 256.0, 512.0, 1024.0])


def laws_of(values, parameters=None):
    """Fits over all counts of size, of models whose parameters are 12 width² unless given."""
    parameters = 12 * WIDTHS**2 if parameters is None else parameters
    rows = to_rows(
        {
            "metric": "m",
            "model": f"of width {width:g}",
            "family": "gpt2",
            "num_parameters": int(total),
            "num_parameters_non_embedding": int(total),
            "d_model": int(width),
            "value": value,
        }
        for total, width, value in zip(parameters, WIDTHS, values, strict=True)
    )
    return [fit_rows(rows, against) for against in SIZES]


def test_an_exact_power_of_the_width_is_one_of_parameters_too():
    assert disagreement(laws_of(WIDTHS**0.5)) is None


def test_noise_that_hides_both_exponents_is_no_disagreement():
    assert disagreement(laws_of([1.0, 3.0, 0.7, 2.0, 1.1])) is None


def test_a_law_of_parameters_that_is_none_of_width_is_told():
    parameters = np.array([1e7, 1e5, 1e9, 1e6, 1e8])
    told = disagreement(laws_of(parameters**0.5, parameters))
    assert told is not None and told.startswith(
        "0 is excluded over parameters and parameters without embeddings, not over width; "
        "the line over parameters fits best (scatter "
    )


def test_exponents_that_exclude_each_other_after_the_change_of_variable_are_told():
    over_parameters, _, _ = laws_of(WIDTHS**2.0)
    _, _, over_width = laws_of(WIDTHS**1.5 * (1 + 0.01 * np.array([1, -1, 1, -1, 1])))
    told = disagreement([over_parameters, over_width])
    assert told is not None and told.startswith("exponents over parameters and width exclude")


def test_widths_are_those_of_the_same_models_where_parameters_do_not_grow_with_them():
    """A wide model may be shallow: sizes sorted apart would pair it with another's width."""
    parameters = np.array([4e6, 1e6, 16e6, 2e6, 8e6])
    over_parameters, _, over_width = laws_of(parameters**0.5, parameters)
    steps = np.polyfit(np.log(WIDTHS), np.log(parameters), 1)[0]
    assert over_width.exponent.value == pytest.approx(0.5 * steps)
    assert over_parameters.exponent.value == pytest.approx(0.5)
    # a law over parameters with the slope that the models' own widths give: no disagreement
    exact = replace(over_width.exponent, low=0.4 * steps, high=0.6 * steps)
    narrow = replace(over_width, exponent=exact)
    assert disagreement([over_parameters, narrow]) is None


def test_models_without_a_name_are_not_paired():
    over_parameters, _, _ = laws_of(WIDTHS**2.0)
    _, _, over_width = laws_of(WIDTHS**1.5 * (1 + 0.01 * np.array([1, -1, 1, -1, 1])))
    assert disagreement([replace(law, size_of={}) for law in (over_parameters, over_width)]) is None


def test_refused_fits_are_passed_by():
    refused = fit_rows([], "d_model")
    assert disagreement([*laws_of(WIDTHS**0.5)[:1], refused]) is None
    assert disagreement([refused]) is None
