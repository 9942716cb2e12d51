"""Outcomes as arrays of a chunk, so that a killed job does not measure again what it has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from jobs.behaviour.outcome import Outcome

_TOLD = ("metric", "definition", "position", "is_loss", "note", "missing")
_ABOUT = "about"


def to_arrays(found: Sequence[Outcome]) -> dict[str, np.ndarray]:
    """The numbers, and what they are as UTF-8 JSON."""
    told = [{name: getattr(outcome, name) for name in _TOLD} for outcome in found]
    arrays = {_ABOUT: np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)}
    for number, outcome in enumerate(found):
        arrays[f"{number}.values"] = outcome.values
        arrays[f"{number}.groups"] = outcome.groups
    return arrays


def from_arrays(arrays: Mapping[str, np.ndarray]) -> list[Outcome]:
    """The inverse."""
    told = json.loads(np.asarray(arrays[_ABOUT]).tobytes())
    return [
        Outcome(values=arrays[f"{number}.values"], groups=arrays[f"{number}.groups"], **each)
        for number, each in enumerate(told)
    ]
