"""Loaded code is set apart: a collection of garbage then looks at what jobs made alone.

Torch, transformers and TRL are a million objects that stay for good. Looking through them takes a
quarter of a second, which trainers ask for at both ends of every run, and Python now and then.
"""

import gc
import sys
from functools import lru_cache


def set_loaded_code_apart() -> None:
    """Exclude what there is from collections, before a job begins; in a worker's own process."""
    _set_apart(len(sys.modules))


@lru_cache(maxsize=1)
def _set_apart(num_modules: int) -> None:
    """Do it once, and once more where modules have come since; what is garbage by then goes."""
    gc.collect()
    gc.freeze()
