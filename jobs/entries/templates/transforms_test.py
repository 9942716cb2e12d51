"""Test of transform `my-entry`."""

from pathlib import Path

from jobs.entries.own_entries import read_entries
from jobs.text.transform import load_transform

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def test_the_text_is_written_in_capitals_and_read_back() -> None:
    with ENTRIES.bringing():
        transform = load_transform("my-entry")
        assert transform.apply("a b", 0) == "A B"
        assert transform.invert("A B") == "a b"
