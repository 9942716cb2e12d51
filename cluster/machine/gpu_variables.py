"""Environment variables of processes that compute on GPUs."""

import os

_ALLOCATOR = "PYTORCH_CUDA_ALLOC_CONF"
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""The variable without which torch has no products that repeat themselves to the bit."""
_HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"


def gpu_variables() -> dict[str, str]:
    """Return the variables to set, unless the machines were started with others.

    Segments that grow: with sequences of many lengths, memory is otherwise free, but in pieces of
    the wrong size, when it runs out. Pinned host memory as asked for: torch would round pieces of
    any size up to a power of two, which for a model's checkpoint is 10 to 50 % more. The workspace
    with which products repeat themselves, where a job asks for that. And huge pages for tensors of
    the host: rows and moments come off a GPU into fresh memory, twice as fast (2.7 GiB/s instead of
    1.35, one thread of a processor).
    """
    preset = {WORKSPACE: ":4096:8", _HUGE_PAGES: "1"}
    variables = {name: value for name, value in preset.items() if name not in os.environ}
    if not {_ALLOCATOR, "PYTORCH_ALLOC_CONF"} & os.environ.keys():
        variables[_ALLOCATOR] = "expandable_segments:True,pinned_max_round_threshold_mb:1"
    return variables
