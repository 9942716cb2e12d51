"""Example rows can be read by their format, in whatever kind of file a study names."""

import pytest

from jobs.stand_ins.stand_in_data import write_example
from jobs.text.format import FORMATS, read

ROLES = {
    "paradetox": "pairs", "pplm": "pairs", "messages": "pairs", "hh-rlhf": "pairs",
    "prompt-chosen-rejected": "pairs", "prompt-answer": "prompts", "realtoxicityprompts": "prompts",
    "document": "prompts", "text": "prompts", "jigsaw": "labelled",
}  # fmt: skip
OUTSIDE = [name for name in FORMATS.names() if name.replace("_", "-") != "nursery"]


def test_every_format_that_reads_files_has_an_example() -> None:
    assert {name.replace("_", "-") for name in OUTSIDE} == ROLES.keys()


@pytest.mark.parametrize("name", ROLES)
def test_an_example_is_read_whole(name, tmp_path) -> None:
    ends = {"paradetox": ["a.tsv"], "pplm": ["a"], "document": ["a.txt", "a.parquet"]}
    for end in ends.get(name, ["a.jsonl", "a.parquet", "a"]):
        path = write_example(tmp_path / end, f"/nowhere/{end}", name, {})
        reading = read(ROLES[name], name, path, {})
        assert len(reading.items) >= (1 if name == "document" else 40), end
        assert not reading.malformed()


def test_an_example_has_the_columns_that_the_study_names(tmp_path) -> None:
    options = {"columns": {"prompt": "question.text"}, "split": "test", "subset": "one"}
    path = write_example(tmp_path / "x", "/nowhere/data", "prompt-answer", options)
    assert len(read("prompts", "prompt-answer", path, options).items) > 40
