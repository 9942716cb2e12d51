"""Environment variables of processes that compute on GPUs."""

import os

_ALLOCATOR = "PYTORCH_CUDA_ALLOC_CONF"


def gpu_variables() -> dict[str, str]:
    """Return the variables to set, unless the machines were started with others.

    Segments that grow: with sequences of many lengths, memory is otherwise free, but in pieces of
    the wrong size, when it runs out.
    """
    if {_ALLOCATOR, "PYTORCH_ALLOC_CONF"} & os.environ.keys():
        return {}
    return {_ALLOCATOR: "expandable_segments:True"}
