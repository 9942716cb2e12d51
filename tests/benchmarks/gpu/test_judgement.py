"""What the GPU check takes for equal, and for memory that ran out."""

import numpy as np
import pytest
import torch

from benchmarks.gpu.machine import look
from benchmarks.gpu.parts.parity import equal_bits, largest_difference
from benchmarks.gpu.training_steps import or_does_not_fit
from cluster.errors import OutOfMemory

UNIT = {
    "resid_post.1.all.moments.scatter": np.eye(3),
    "resid_post.1.all.norms.columns": np.array([7, 9]),
    "resid_post.1.all.norms.counts": np.array([4, 1]),
    "resid_post.1.all.norms.range": np.array([5.0, 0.5, 2.0]),
}


def test_a_row_that_crosses_the_border_of_a_bin_is_no_difference() -> None:
    other = UNIT | {
        "resid_post.1.all.norms.columns": np.array([7, 8, 9]),
        "resid_post.1.all.norms.counts": np.array([3, 1, 1]),
    }
    assert largest_difference(UNIT, other)[0] == 0
    assert not equal_bits(UNIT, other)


@pytest.mark.parametrize("name", [name for name in UNIT if not name.endswith("columns")])
def test_any_other_number_is_compared(name) -> None:
    other = UNIT | {name: UNIT[name] * 1.5}
    worst, at = largest_difference(other, UNIT)
    assert worst == pytest.approx(0.5) and at == name


def test_an_array_that_one_of_them_lacks_or_has_otherwise_is_no_agreement() -> None:
    name = "resid_post.1.all.moments.scatter"
    fewer = {key: array for key, array in UNIT.items() if key != name}
    assert largest_difference(fewer, UNIT)[0] == float("inf")
    assert largest_difference(UNIT | {name: np.eye(4)}, UNIT) == (float("inf"), name)


@pytest.mark.parametrize(
    "fault",
    [OutOfMemory("a step would take 115.9 GB"), torch.OutOfMemoryError("CUDA out of memory. 9 GB")],
)
def test_what_does_not_fit_says_why_and_the_next_row_is_measured(fault) -> None:
    def work():
        raise fault

    result, why = or_does_not_fit(look(rehearses=True), work)
    assert result is None and str(fault) in why


def test_any_other_fault_of_a_row_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        or_does_not_fit(look(rehearses=True), lambda: 1 / 0)
