"""Threads and precision of a job, alike on every executor: one machine gives one set of bits."""

import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def set_arithmetic(threads: int, *, uses_torch: bool) -> None:
    """Set the threads that every library computes with, and the precision of torch's products."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"

    if uses_torch:
        import torch

        torch.set_num_threads(threads)
        # Of a warm worker the job before, of a container its variables may have left TF32, which
        # has 10 bits where differences of models need 23.
        torch.set_float32_matmul_precision("highest")
        # Else a GPU may add the parts of one bf16 product in bf16.
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    # The variable above is read when a library is loaded; a warm worker has loaded numpy's BLAS
    # long ago (left at all cores, extraction of a tiny model took 4.2 s instead of 1.8 s).
    if "numpy" in sys.modules:  # nothing that computes is loaded without it
        _thread_pools(len(sys.modules)).limit(limits=threads)


@lru_cache(maxsize=1)
def _thread_pools(num_modules: int) -> "ThreadpoolController":
    """Find the libraries with threads that are loaded; again once more modules are."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()
