"""Folders as `datasets` saves and caches them, and what their splits are called."""

import json

import pyarrow
import pytest

from cluster.errors import UserError
from jobs.sources.path_digests import digest_paths
from jobs.text.source_check import read_source


def rows(first):
    return [{"prompt": f"{first}{n}", "chosen": " a", "rejected": " b"} for n in range(4)]


def write_arrow(path, first="p"):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pylist(rows(first))
    with pyarrow.ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table)


def write_lines(path, first="p"):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(first)))


def prompts_of(folder, **options):
    reading = read_source("pairs", "prompt-chosen-rejected", str(folder), options, 0.0)
    return [pair.prompt for pair in reading.items]


WHOLE = [row["prompt"] for row in rows("p")]


@pytest.mark.parametrize(
    "name", ["cache-0123456789abcdef.arrow", "cache-0123456789abcdef_00000_of_00002.arrow"]
)
def test_what_map_leaves_beside_saved_data_is_no_split(tmp_path, name):
    write_arrow(tmp_path / "data-00000-of-00001.arrow")
    write_arrow(tmp_path / name, "of another function")
    assert prompts_of(tmp_path) == WHOLE


def test_of_a_saved_folder_the_files_that_its_state_lists_are_data(tmp_path):
    write_arrow(tmp_path / "data-00000-of-00001.arrow")
    write_arrow(tmp_path / "indices.arrow", "of the rows")
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
    (tmp_path / "state.json").write_text(json.dumps(state))
    assert prompts_of(tmp_path) == WHOLE


@pytest.mark.parametrize("name", ["data", "train"])
def test_shards_of_two_saves_are_not_read_together(tmp_path, name):
    for number in range(3):  # of an earlier, larger save
        write_arrow(tmp_path / f"{name}-0000{number}-of-00003.arrow", "old")
    write_arrow(tmp_path / f"{name}-00000-of-00001.arrow")
    with pytest.raises(UserError, match=f"{name} of 1 shards and of 3 shards") as caught:
        prompts_of(tmp_path)
    assert "earlier save" in caught.value.hint


@pytest.mark.parametrize("state", ["[", "{}", '{"_data_files": 3}', '{"_data_files": [1]}', "[]"])
def test_a_state_of_something_else_hides_no_data(tmp_path, state):
    write_arrow(tmp_path / "data-00000-of-00001.arrow")
    (tmp_path / "state.json").write_text(state)
    assert prompts_of(tmp_path) == WHOLE


def test_a_split_without_a_name_is_offered_under_one_that_chooses_it(tmp_path):
    write_lines(tmp_path / "0000.jsonl")
    write_lines(tmp_path / "test.jsonl", "t")
    with pytest.raises(UserError, match="several splits") as caught:
        prompts_of(tmp_path)
    assert caught.value.allowed == ["data", "test"]
    assert prompts_of(tmp_path, split="data") == WHOLE
    with pytest.raises(UserError, match="unknown split") as caught:
        prompts_of(tmp_path, split="dta")
    assert caught.value.hint == "did you mean 'data'?"


def test_shards_that_are_missing_of_a_split_without_a_name_are_noted_with_one(tmp_path):
    write_arrow(tmp_path / "data-00000-of-00003.arrow")
    reading = read_source("pairs", "prompt-chosen-rejected", str(tmp_path), {}, 0.0)
    assert reading.notes == ("2 of 3 shards of data are not there",)


@pytest.mark.parametrize(
    ("target", "way_on"),
    [
        ("../.git/annex/objects/x.jsonl", "git annex get"),
        ("../../blobs/0a1b", "hf download"),
        ("/elsewhere/x.jsonl", "cp -L"),
    ],
)
def test_a_link_to_what_is_gone_is_named_alone_and_among_shards(tmp_path, target, way_on):
    write_lines(tmp_path / "train-00000-of-00002.jsonl")
    link = tmp_path / "train-00001-of-00002.jsonl"
    link.symlink_to(target)
    for source in (tmp_path, link):
        with pytest.raises(UserError, match=f"is a link to {target}, which is not there") as caught:
            prompts_of(source)
        assert way_on in caught.value.hint


def test_a_link_to_nothing_that_is_no_data_hides_no_data(tmp_path):
    write_lines(tmp_path / "train.jsonl")
    (tmp_path / "README.md").symlink_to("gone")
    assert prompts_of(tmp_path) == WHOLE


def test_shards_in_a_folder_that_is_linked_from_another_disk_are_rows_of_the_set(tmp_path):
    folder, disk = tmp_path / "set", tmp_path / "disk"
    for place in (folder / "train", disk):
        place.mkdir(parents=True)
    write_lines(folder / "train/0000.jsonl")
    write_lines(disk / "0001.jsonl", "q")
    (folder / "train/data").symlink_to(disk)
    assert prompts_of(folder) == WHOLE + [row["prompt"] for row in rows("q")]
    before = digest_paths(str(folder))
    write_lines(disk / "0001.jsonl", "changed")
    assert digest_paths(str(folder)) != before
