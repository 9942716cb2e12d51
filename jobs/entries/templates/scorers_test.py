"""Test of scorer `my-entry`: a score per text, and the setting that decides it."""

from pathlib import Path
from typing import Any

from jobs.behaviour.scorer import chosen_scorer
from jobs.entries.own_entries import read_entries

ENTRIES = read_entries(Path(__file__).parents[1], "this test")
NO_WORK: Any = None


def test_words_in_capitals_are_toxic_from_a_length_on() -> None:
    with ENTRIES.bringing():
        judge = chosen_scorer({"name": "my-entry", "least": 3}).open(NO_WORK, [])
        assert judge.scores(["so LOUD", "I AM", "quiet"]) == [1.0, 0.0, 0.0]
