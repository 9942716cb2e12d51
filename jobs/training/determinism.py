"""What makes a training run repeat itself to the bit on a GPU, where the study asks for it.

On a processor the kernels in use always do. On a GPU several add in whatever order their threads
arrive: the backward pass of attention (PyTorch's flash and memory-efficient kernels), scattered
sums, and cuBLAS on several streams.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.errors import UserError
from cluster.machine.gpu_variables import WORKSPACE

_REPEATING = ":4096:8"
_REFUSED = re.compile("deterministic implementation|Deterministic behavior was enabled")
"""What torch says of an operator, and of cuBLAS under another workspace."""


def repeats_itself(*, on_gpu: bool, deterministic: bool) -> bool:
    """Tell whether one process, or ddp, computes equal steps to equal bits on one machine."""
    return deterministic or not on_gpu


@contextmanager
def repeating_kernels(wanted: bool) -> Iterator[None]:
    """Let torch use only kernels that repeat themselves, where wanted.

    What torch is told is put back afterwards. The variable of cuBLAS is not: it is read once for a
    process, and whoever surrounds a job puts the environment back.

    Raises:
        UserError: something that the run computes has no such kernel.
    """
    if not wanted:
        yield
        return
    import torch

    # Read when the first product is computed; machines that were started with another keep it.
    os.environ.setdefault(WORKSPACE, _REPEATING)
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    kernels: Any = torch.utils.deterministic  # a module whose one setting types do not know
    filled = kernels.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # It would write NaN into every new tensor first: that finds bugs, and costs a pass of memory.
    kernels.fill_uninitialized_memory = False
    try:
        yield
    except RuntimeError as fault:
        if _REFUSED.search(str(fault)) is None:
            raise
        raise UserError(
            f"this run cannot repeat itself to the bit here: {str(fault).partition('. ')[0]}",
            where="deterministic",
            allowed=["false"],
            hint="leave it out, or try attention: eager",
        ) from fault
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
        kernels.fill_uninitialized_memory = filled
