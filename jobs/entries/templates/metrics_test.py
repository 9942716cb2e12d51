"""Test of metric `my_entry`: a planted truth, and no number where there are no rows."""

from pathlib import Path

import numpy as np

from analysis.metric import METRICS
from analysis.rows.summary import GroupSummary, Sample
from jobs.entries.own_entries import read_entries

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def test_rows_of_one_length_have_that_length() -> None:
    rows = np.zeros((40, 3))
    rows[:, 0] = 2.0
    prompts = np.arange(40)
    groups = {
        number: GroupSummary.from_rows(rows[at], np.ones(2), prompts[at], True)
        for number in range(20)
        for at in [prompts % 20 == number]
    }
    with ENTRIES.bringing():
        measured, *_ = METRICS.find("my_entry").measure(Sample(groups=groups, reservoir=None), None)
    assert measured.value is not None
    assert abs(measured.value - 2.0) < 0.05


def test_without_rows_there_is_a_reason_in_place_of_a_number() -> None:
    with ENTRIES.bringing():
        measured, *_ = METRICS.find("my_entry").measure(Sample(groups={}, reservoir=None), None)
    assert measured.value is None
    assert measured.reason
