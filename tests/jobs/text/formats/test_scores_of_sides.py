"""Columns that score both sides of a row: where they say otherwise, the plan says so."""

import pyarrow
import pyarrow.parquet as parquet
import pytest

from jobs.text.format import read
from tests.jobs.text.written_rows import said, written

SCORES = [(5, 1), (1.5, 4), ("2", "3"), (3, 3), (None, 2), ("none", 1)]


def rows_of(first, second):
    return [
        {"prompt": f"so {n}", "chosen": f" a {n}", "rejected": f" b {n}", first: high, second: low}
        for n, (high, low) in enumerate(SCORES)
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [("score_chosen", "score_rejected"), ("chosen-rating", "rejected-rating")],
)
def test_a_rejected_side_with_the_higher_score_is_said(tmp_path, first, second):
    path = written(tmp_path / "pairs.jsonl", rows_of(first, second))
    found = read("pairs", "prompt-chosen-rejected", path, {})
    assert found.notes == (
        f"of 4 rows with scores {second!r} is more than {first!r} in 2 and both are equal in 1: "
        "are these sides preferred?",
    )
    assert found.unused_columns == (first, second)


def test_they_are_looked_at_in_parquet_and_beside_messages(tmp_path):
    sides = {
        side: [[said("user", f"so {n}"), said("assistant", side)] for n in range(3)]
        for side in ("chosen", "rejected")
    }
    scores = {"chosen_score": [1.0, 2.0, 3.0], "rejected_score": [2.0, 1.0, 2.0]}
    parquet.write_table(pyarrow.table({**sides, **scores}), tmp_path / "pairs.parquet")
    found = read("pairs", "messages", tmp_path / "pairs.parquet", {})
    assert "'rejected_score' is more than 'chosen_score' in 1:" in found.notes[0]


def test_scores_that_agree_are_not_spoken_of(tmp_path):
    rows = [row | {"score_chosen": 2, "score_rejected": 1} for row in rows_of("a", "b")]
    path = written(tmp_path / "pairs.jsonl", rows)
    assert read("pairs", "prompt-chosen-rejected", path, {}).notes == ()
