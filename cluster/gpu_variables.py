"""Environment variables of processes that compute on GPUs."""

import os

_ALLOCATOR = "PYTORCH_CUDA_ALLOC_CONF"


def gpu_variables() -> dict[str, str]:
    """What is set for them, unless whoever started the machines set it otherwise.

    Segments that grow: with sequences of many lengths, memory that is free but in pieces of the
    wrong size is otherwise the first to run out.
    """
    if {_ALLOCATOR, "PYTORCH_ALLOC_CONF"} & os.environ.keys():
        return {}
    return {_ALLOCATOR: "expandable_segments:True"}
