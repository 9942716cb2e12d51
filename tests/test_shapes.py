"""Shapes are checked at run time while the tests run (see `conftest.py` at the root)."""

from typing import Literal

import jaxtyping
import numpy as np
import pytest
import torch
from beartype import beartype
from jaxtyping import Float64

from analysis.estimates.intervals import jackknife
from jobs.extraction.reduction import _add_product
from jobs.intervening.intervention import as_tensor
from tests.passed_shapes import checked_once


def test_an_array_of_another_shape_is_refused() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="jackknife"):
        jackknife(0.0, np.zeros((3, 2)), np.ones(3))


def test_a_signature_that_names_type_only_imports_is_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="_add_product"):
        _add_product(torch.zeros(2, 2), torch.zeros(3))


def test_a_module_s_own_name_for_an_array_type_is_known() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="as_tensor"):
        as_tensor(np.zeros((2, 2)), torch.zeros(2))


def test_what_passed_before_lets_nothing_else_pass() -> None:
    @checked_once(beartype)
    def first(rows: Float64[np.ndarray, "rows d"], means: Float64[np.ndarray, " d"]) -> str:
        return "fits"

    fitting = np.zeros((3, 2)), np.zeros(2)
    for _ in range(2):
        assert first(*fitting) == first(rows=fitting[0], means=fitting[1]) == "fits"
        for rows, means in (
            (fitting[0], np.zeros(3)),
            (np.zeros(3), fitting[1]),
            (fitting[0].astype(np.float32), fitting[1]),
            (fitting[0].tolist(), fitting[1]),
            (fitting[1], fitting[0]),
            (torch.zeros(3, 2, dtype=torch.float64), fitting[1]),
        ):
            with pytest.raises(jaxtyping.TypeCheckError, match="first"):
                first(rows, means)
            with pytest.raises(jaxtyping.TypeCheckError, match="first"):
                first(means=means, rows=rows)


def test_a_result_of_another_shape_is_refused_though_the_arguments_passed_before() -> None:
    results = [np.zeros(3), np.zeros(2), np.zeros(3), "no array", np.zeros(3)]

    @checked_once(beartype)
    def norms(rows: Float64[np.ndarray, "rows d"]) -> Float64[np.ndarray, " rows"]:
        return results.pop()

    rows = np.zeros((3, 2))
    assert norms(rows) is not None
    for refused in (True, False, True, False):
        if refused:
            with pytest.raises(jaxtyping.TypeCheckError, match="return value of .*norms"):
                norms(rows)
        else:
            assert norms(rows).shape == (3,)
    assert not results


def test_what_lies_in_a_list_is_looked_at_at_every_call() -> None:
    @checked_once(beartype)
    def stacked(
        parts: list[Float64[np.ndarray, " d"]], how: Literal["rows", "columns"] = "rows"
    ) -> tuple[Float64[np.ndarray, " d"], ...]:
        return tuple(parts)

    fitting = [np.zeros(2)]
    assert len(stacked(fitting)) == len(stacked(fitting, how="columns")) == 1
    with pytest.raises(jaxtyping.TypeCheckError):
        stacked([np.zeros((2, 2))])
    with pytest.raises(jaxtyping.TypeCheckError):
        stacked(fitting, how="neither")
