"""Work that is redone in halves when memory really runs out."""

import errno

import pytest
import torch

from cluster.errors import OutOfMemory
from cluster.fault_classes import FaultClass
from jobs.worker.out_of_memory import in_halves
from jobs.worker.whose_fault import class_of, is_out_of_memory


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
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "cusolver error: CUSOLVER_STATUS_NOT_INITIALIZED, when calling `cusolverDnCreate(handle)`",
        "cuFFT error: CUFFT_ALLOC_FAILED",
        "CUDA driver error: out of memory",
        "Triton Error [CUDA]: out of memory",
        "HIP out of memory. Tried to allocate 2.00 GiB.",
        "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "cudaErrorMemoryAllocation: allocation failed",
        "hipErrorOutOfMemory",
        "NCCL error in: ProcessGroupNCCL.cpp:94, unhandled cuda error (run with NCCL_DEBUG=INFO "
        "for details), NCCL version 2.30.4\nncclUnhandledCudaError: Call to CUDA function failed."
        "\nLast error:\nCuda failure 2 'out of memory'",
        "NCCL error: unhandled cuda error\nLast error:\nFailed to CUDA calloc async 608 bytes",
        "std::bad_alloc",
    ],
)
def test_libraries_that_lack_memory_are_understood(said):
    assert is_out_of_memory(RuntimeError(said))
    assert class_of(RuntimeError(said)) is FaultClass.OUT_OF_MEMORY
    assert not is_out_of_memory(ValueError(said))


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: an illegal memory access was encountered",
        "out of resource: shared memory, Required: 294912, Hardware limit: 232448.",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasSgemm(handle)`",
        "CUDA error: invalid device ordinal",
    ],
)
def test_what_sounds_like_it_and_is_none(said):
    assert not is_out_of_memory(RuntimeError(said))


def test_the_operating_systems_own_refusal_is_understood():
    assert is_out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not is_out_of_memory(OSError(errno.ENOSPC, "No space left on device"))
