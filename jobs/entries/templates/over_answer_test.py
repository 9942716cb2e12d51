"""Test of the metric over an answer `my_entry`: a planted profile."""

from pathlib import Path

import pytest

from analysis.estimates.answer_metric import ANSWER_METRICS, profile_of
from jobs.entries.own_entries import read_entries

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def test_what_is_left_is_a_share_of_the_first_token() -> None:
    start, deep = ((2.0, dict.fromkeys(range(8), 2.0)), (0.5, dict.fromkeys(range(8), 0.5)))
    points = {0: (start, start), 4: (deep, start)}
    profile = profile_of("token_kl", points, dict.fromkeys(range(8), 3), {0: 24, 4: 24})
    with ENTRIES.bringing():
        measured, note = ANSWER_METRICS.find("my_entry").measure(profile)
    assert measured.estimate.value == pytest.approx(0.25)
    assert note == "at token 4 of the answer"
