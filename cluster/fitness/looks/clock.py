"""Reads the clock of a machine."""

import time
from collections.abc import Mapping
from typing import Any


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the time in seconds since 1970, by this machine's clock.

    Args:
        asked: nothing.
    """
    del asked
    return {"now": time.time()}
