"""Environment variables of processes that compute on GPUs."""

import os

_ALLOCATOR = "PYTORCH_CUDA_ALLOC_CONF"
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def gpu_variables() -> dict[str, str]:
    """Return the variables to set, unless the machines were started with others.

    Segments that grow: with sequences of many lengths, memory is otherwise free, but in pieces of
    the wrong size, when it runs out. Pinned host memory as asked for: torch would round pieces of
    any size up to a power of two, which for a model's checkpoint is 10 to 50 % more. And the
    workspace with which products repeat themselves, where a job asks for that.
    """
    variables = {} if _WORKSPACE in os.environ else {_WORKSPACE: ":4096:8"}
    if not {_ALLOCATOR, "PYTORCH_ALLOC_CONF"} & os.environ.keys():
        variables[_ALLOCATOR] = "expandable_segments:True,pinned_max_round_threshold_mb:1"
    return variables
