"""Test of reference `my_entry`: every number says in what it differs from ours."""

from pathlib import Path

from analysis.tables.reference import REFERENCES
from jobs.entries.own_entries import read_entries

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def test_every_number_says_how_it_was_measured() -> None:
    with ENTRIES.bringing():
        reference = REFERENCES.find("my_entry")
    assert reference.CITATION
    assert all(number.note and number.metrics for number in reference.NUMBERS)
