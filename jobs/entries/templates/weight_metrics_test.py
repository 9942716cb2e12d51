"""Test of the metric of weights `my_entry`."""

from pathlib import Path
from typing import cast

import numpy as np

from analysis.weight_metric import WEIGHT_METRICS, TensorMetric, TensorPair
from jobs.entries.own_entries import read_entries

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def test_the_largest_change_is_reported_for_a_block_and_for_the_model() -> None:
    pair = TensorPair(name="w", base=np.zeros((2, 2)), aligned=np.array([[0.0, 1.0], [-3.0, 2.0]]))
    with ENTRIES.bringing():
        metric = cast(TensorMetric, WEIGHT_METRICS.find("my_entry"))
        of_block, of_model = (metric.measure([pair], whole) for whole in (False, True))
    assert [(m.metric, m.value) for m in of_block] == [("my_entry", 3.0)]
    assert [(m.metric, m.value) for m in of_model] == [("my_entry_whole", 3.0)]
