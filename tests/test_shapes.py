"""Shapes are checked at run time while the tests run (see `conftest.py` at the root)."""

import jaxtyping
import numpy as np
import pytest
import torch

from analysis.estimates.intervals import jackknife
from jobs.extraction.reduction import _add_product
from jobs.intervening.intervention import as_tensor


def test_an_array_of_another_shape_is_refused() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="jackknife"):
        jackknife(0.0, np.zeros((3, 2)), np.ones(3))


def test_a_signature_that_names_type_only_imports_is_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="_add_product"):
        _add_product(torch.zeros(2, 2), torch.zeros(3))


def test_a_module_s_own_name_for_an_array_type_is_known() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="as_tensor"):
        as_tensor(np.zeros((2, 2)), torch.zeros(2))
