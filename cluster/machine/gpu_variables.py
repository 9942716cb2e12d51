"""Environment variables of processes that compute on GPUs."""

import os
import re
from importlib.metadata import PackageNotFoundError, version

_ALLOCATOR = "PYTORCH_CUDA_ALLOC_CONF"
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""The variable without which torch has no products that repeat themselves to the bit."""
_HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
_LARGE_MB = 32
"""Pieces of pinned memory above this are neither rounded up nor kept; masks, rows are smaller."""
_LARGE_PIECES = f"pinned_max_round_threshold_mb:{_LARGE_MB},pinned_max_cached_size_mb:{_LARGE_MB}"
_KNOWN_SINCE = (2, 13)
"""The first release of torch that was seen to know these settings; 2.11 does not."""


def gpu_variables() -> dict[str, str]:
    """Return the variables to set, unless the machines were started with others.

    Segments that grow: with sequences of many lengths, memory is otherwise free, but in pieces of
    the wrong size, when it runs out. Large pieces of pinned host memory as asked for: torch would
    round them up to a power of two, which for a model's checkpoint is 10 to 50 % more. These are
    not kept for later: torch hands a kept piece out again for any size up to the next power of two
    (2.13), and what is copied there writes over what lies behind. The workspace
    with which products repeat themselves, where a job asks for that. And huge pages for tensors of
    the host: rows and moments come off a GPU into fresh memory, twice as fast (2.7 GiB/s instead of
    1.35, one thread of a processor).
    """
    preset = {WORKSPACE: ":4096:8", _HUGE_PAGES: "1"}
    variables = {name: value for name, value in preset.items() if name not in os.environ}
    if not {_ALLOCATOR, "PYTORCH_ALLOC_CONF"} & os.environ.keys():
        known = [_LARGE_PIECES] if _torch_release() >= _KNOWN_SINCE else []
        variables[_ALLOCATOR] = ",".join(["expandable_segments:True", *known])
    return variables


def _torch_release() -> tuple[int, ...]:
    """Return the release of the torch that is installed, without importing it; empty: none is.

    Empty as well for builds before a release, which may know what it knows or not. A setting that
    torch does not know ends the first use of a GPU with an error.
    """
    try:
        release = re.fullmatch(r"(\d+)\.(\d+)(?:\.\d+)?(?:\.post\d+)?(?:\+.*)?", version("torch"))
    except PackageNotFoundError:
        return ()
    return (int(release[1]), int(release[2])) if release else ()
