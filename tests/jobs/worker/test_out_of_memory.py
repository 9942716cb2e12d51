"""Work that is redone in halves when memory really runs out."""

import pytest
import torch

from cluster.errors import OutOfMemory
from jobs.worker.out_of_memory import in_halves
from jobs.worker.whose_fault import is_out_of_memory


def takes(size):
    """More than any machine has, above four."""
    return torch.zeros(size if size <= 4 else size << 50)


def test_half_as_much_is_tried_until_it_fits():
    found, size = in_halves(32, 1, takes)
    assert (len(found), size) == (4, 4)


def test_what_fits_at_once_is_done_once():
    asked = []
    assert in_halves(4, 1, lambda size: asked.append(size)) == (None, 4)
    assert asked == [4]


def test_the_smallest_that_does_not_fit_is_the_end():
    with pytest.raises(OutOfMemory, match="memory runs out in the smallest batch"):
        in_halves(32, 5, takes)


def test_other_faults_are_no_lack_of_memory():
    with pytest.raises(RuntimeError, match="shape"):
        in_halves(4, 1, lambda size: torch.zeros(size).reshape(3))
    assert is_out_of_memory(MemoryError()) and not is_out_of_memory(RuntimeError("else"))
    assert not is_out_of_memory(ValueError("a text that says: can't allocate memory"))


@pytest.mark.parametrize(
    "said",
    [
        "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_libraries_that_lack_memory_are_understood(said):
    assert is_out_of_memory(RuntimeError(said))
