"""Waiting for what another process brings about."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_LIMIT_S = 400.0


def until(look: Callable[[], T | None], process: subprocess.Popen[Any]) -> T:
    """Look again and again until there is something; the process must not end meanwhile.

    Raises:
        AssertionError: it ended.
        TimeoutError: there is nothing within 400 s.
    """
    ends = time.monotonic() + _LIMIT_S
    while time.monotonic() < ends:
        if found := look():
            return found
        assert process.poll() is None, f"it ended with {process.returncode}"
        time.sleep(0.02)
    raise TimeoutError(f"nothing within {_LIMIT_S:g} s")
