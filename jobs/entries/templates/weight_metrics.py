"""Metric of weights `my_entry`: the largest change of any one weight.

The contract is `TensorMetric` in analysis/weight_metric.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from analysis.measurement import Measurement
from analysis.weight_metric import TensorPair

DEFINITION = "v1: largest |aligned - base| over the entries of the tensors"
REPORTS = ("my_entry", "my_entry_whole")
HEADLINES = {"my_entry_whole": 221}
RANGES = {"my_entry": (0.0, None), "my_entry_whole": (0.0, None)}
AXIS_LABEL = "largest change of a weight"
NEEDS_OFFSETS = False


def measure(tensors: Iterable[TensorPair], whole: bool) -> Sequence[Measurement]:
    """Measure one block, or the whole model; 0 where it has no tensors."""
    largest = max((float(np.abs(t.aligned - t.base).max(initial=0)) for t in tensors), default=0.0)
    name = "my_entry_whole" if whole else "my_entry"
    return [Measurement(metric=name, definition=DEFINITION, value=largest)]
