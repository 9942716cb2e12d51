"""Did a run that should learn a few pairs by heart learn anything?"""

import json
import math
from statistics import mean

_WINDOW = 4
"""Steps whose losses are taken together: with 32 pairs and batches of 8, one pass."""
_LEAST_FALL = 0.01
"""Share of the first loss by which the lowest must be lower."""


def why_not_learned(log: bytes) -> str | None:
    """Say that the loss of a run never fell; None where it did.

    A run that goes over the same few pairs again and again, at a rate that overfits, brings down
    any loss that depends on the weights. How far, and to where, is not asked.

    Args:
        log: content of the run's `training_log.jsonl`.
    """
    rows = [json.loads(line) for line in log.splitlines()]
    losses = [row["loss"] for row in rows if math.isfinite(row.get("loss", math.nan))]
    if len(losses) < 2 * _WINDOW:
        return None
    first = mean(losses[:_WINDOW])
    lowest = min(
        mean(losses[at : at + _WINDOW]) for at in range(_WINDOW, len(losses) - _WINDOW + 1)
    )
    if first - lowest > _LEAST_FALL * abs(first):
        return None
    return (
        f"its loss did not fall in {len(losses)} steps over the same few pairs, at a rate that "
        f"learns them by heart: {first:.4g} at first, {lowest:.4g} at the lowest"
    )
