"""However objects are set in a file of JSON, they are its rows; what is cut off is told."""

import json

import pytest

from jobs.text.data_file import read_table
from jobs.text.source_check import read_source

ROWS = [{"prompt": f"p{n}", "chosen": f" a{n}", "rejected": " b"} for n in range(12)]
NAMES = tuple(ROWS[0])
IN_LINES = [json.dumps(row) for row in ROWS]
LABELLED = {
    "numbers": {str(n): row for n, row in enumerate(ROWS)},
    "names": {f"question-{n}": row for n, row in enumerate(ROWS)},
}
SPLIT = {"columns": NAMES, "index": [1, 2], "data": [list(row.values()) for row in ROWS]}


def table(path, text, wanted=NAMES):
    path.write_text(text)
    return read_table(path, wanted)


def cells(read):
    return [row.cells for row in read.rows]


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
@pytest.mark.parametrize(
    "text",
    [
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        "".join(IN_LINES),
        "".join(f"{line},\n" for line in IN_LINES),
        "\n" + ",\n".join(IN_LINES),
        "[\n" + "".join(f"{line},\n" for line in IN_LINES) + "]\n",
    ],
    ids=["pretty", "joined", "commas", "commas between", "list with a comma too many"],
)
def test_objects_are_rows_however_they_are_set(tmp_path, suffix, text):
    read = table(tmp_path / f"a.{suffix}", text)
    assert cells(read) == ROWS and not read.malformed


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[\n" + ",\n".join(IN_LINES), 13),
        ("[\n" + ",\n".join(IN_LINES)[:-5], 13),
        ("\n".join(json.dumps(row, indent=2) for row in ROWS)[:-5], 56),
        (json.dumps(ROWS, indent=1)[:-5], 57),
    ],
)
def test_what_is_cut_off_is_told_with_its_line_and_no_rows_are_taken(tmp_path, text, line):
    read = table(tmp_path / "a.json", text)
    assert not read.rows and len(read.malformed) == len(text.splitlines())
    assert f"not JSON from line {line} on" in read.malformed[0].reason
    assert "an object per line, or one array" in read.malformed[0].reason


@pytest.mark.parametrize("value", [*LABELLED.values(), SPLIT], ids=[*LABELLED, "split"])
def test_the_forms_of_pandas_are_rows(tmp_path, value):
    assert cells(table(tmp_path / "a.json", json.dumps(value))) == ROWS


def test_rows_under_labels_lack_no_column_that_was_given_another_name(tmp_path):
    rows = {str(n): {"question": f"q{n}", "chosen": " a", "rejected": " b"} for n in range(9)}
    (tmp_path / "a.json").write_text(json.dumps(rows))
    options = {"columns": {"prompt": "question"}}
    path = str(tmp_path / "a.json")
    reading = read_source("pairs", "prompt-chosen-rejected", path, options, 0.0)
    assert [pair.prompt for pair in reading.items] == [f"q{n}" for n in range(9)]


def test_messages_under_labels_are_rows_and_splits_of_columns_are_none(tmp_path):
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    labelled = {"1": {"chosen": said, "rejected": said}, "2": {"chosen": said, "rejected": said}}
    assert cells(table(tmp_path / "a.json", json.dumps(labelled))) == list(labelled.values())
    splits = {name: {column: ["x", "y"] for column in NAMES} for name in ("train", "test")}
    assert cells(table(tmp_path / "b.json", json.dumps(splits))) == [splits]


def test_an_object_of_objects_whose_names_are_read_is_one_row(tmp_path):
    row = {"prompt": {"text": "a"}, "chosen": {"text": "b"}, "rejected": {"text": "c"}}
    wanted = ("prompt.text", "chosen.text", "rejected.text")
    assert cells(table(tmp_path / "a.json", json.dumps(row), wanted)) == [row]


def test_zeros_that_a_crash_left_behind_rows_cost_their_line_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes("\n".join(IN_LINES).encode() + b"\n" + bytes(100))
    read = read_table(path, NAMES)
    assert cells(read) == ROWS
    assert [(line.row, line.reason[:10]) for line in read.malformed] == [(13, "zero bytes")]
