"""Looks up the cores, memory and GPUs that processes may use on a machine."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cluster.machine.resources import this_machine


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Resources`.

    Args:
        asked: nothing.
    """
    del asked
    return asdict(this_machine())
