"""Test of format `my-entry`: what it reads, and what it leaves out."""

from pathlib import Path

from jobs.entries.own_entries import read_entries
from jobs.text.format import read

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def test_lines_are_prompts_and_short_ones_are_left_out(tmp_path: Path) -> None:
    source = tmp_path / "lines.txt"
    source.write_text("one two three\n\nfour\n", encoding="utf-8")
    with ENTRIES.bringing():
        reading = read("prompts", "my-entry", source, {"min_words": 2})
    assert [prompt.source for prompt in reading.items] == ["one two three"]
    assert [row.row for row in reading.dropped] == [2, 3]
