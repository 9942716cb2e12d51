"""Loaded code is set apart: a collection of garbage then looks at what jobs made alone.

Torch, transformers and TRL are a million objects that stay for good. Looking through them takes a
quarter of a second, which trainers ask for at both ends of every run, and Python now and then.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

_LAUNCHING: ContextVar[bool] = ContextVar("_LAUNCHING", default=False)


@contextmanager
def launch_set_apart() -> Iterator[None]:
    """Exclude the plan of a launch from collections, and code that its jobs load in this process.

    Both stay as long as the launch, and there is much of them.
    """
    launching = _LAUNCHING.set(True)
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        _LAUNCHING.reset(launching)


def set_loaded_code_apart(*, is_own_process: bool) -> None:
    """Exclude what there is from collections, before a job begins.

    Args:
        is_own_process: The process is a worker's own. Where it is not, this is done while a launch
            has set its plan apart alone: other programs' objects are theirs to look at.
    """
    if is_own_process or _LAUNCHING.get():
        _set_apart(len(sys.modules))


@lru_cache(maxsize=1)
def _set_apart(num_modules: int) -> None:
    """Do it once, and once more where modules have come since; what is garbage by then goes."""
    gc.collect()
    gc.freeze()
