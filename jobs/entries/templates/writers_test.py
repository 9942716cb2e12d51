"""Test of table format `my_entry`: a line for the heads, and one for each row."""

from pathlib import Path

from analysis.tables.comparison_table import compare
from analysis.tables.writer import WRITERS
from jobs.entries.own_entries import read_entries

ENTRIES = read_entries(Path(__file__).parents[1], "this test")
ROW = {"family": "gpt2", "num_parameters": 1000, "metric": "cka", "value": 0.5, "key": "k"}


def test_a_table_has_a_line_for_each_row() -> None:
    table = compare([{**ROW, "model": "m"}, {**ROW, "model": "n", "num_parameters": 2000}])
    with ENTRIES.bringing():
        lines = WRITERS.find("my_entry").render(table).decode().splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("\t0.5")
