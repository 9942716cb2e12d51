"""What stands above the header of delimited text, and is none of it."""

import pytest

from cluster.errors import UserError
from jobs.text.data_file import read_table

ROWS = 'prompt;chosen\n"a;b"; c\nd; e\n'
NAMES = ("prompt", "chosen")


def table(path, text):
    path.write_bytes(text.encode())
    return read_table(path, NAMES)


@pytest.mark.parametrize(
    "above", ["sep=;\n", "sep=;\r\n", '"sep=;"\n', "\n", "\r\n \n", "\nSEP=;\n"]
)
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_lines_above_the_header_are_skipped_and_counted(tmp_path, suffix, above):
    read = table(tmp_path / f"a.{suffix}", above + ROWS)
    assert [row.cells for row in read.rows] == [
        {"prompt": "a;b", "chosen": " c"},
        {"prompt": "d", "chosen": " e"},
    ]
    assert [row.number for row in read.rows] == [above.count("\n") + 2, above.count("\n") + 3]


def test_the_named_delimiter_goes_before_the_one_of_the_suffix(tmp_path):
    read = table(tmp_path / "a.csv", "sep=|\nprompt|chosen|a, b\n1|2|3\n")
    assert read.columns == ["prompt", "chosen", "a, b"]


def test_a_fault_below_says_what_its_rows_are_counted_from(tmp_path):
    with pytest.raises(UserError, match="row 2: ") as caught:
        table(tmp_path / "a.csv", 'sep=;\nprompt;chosen\n"a; b\n')
    assert caught.value.hint.endswith("rows are counted from the header, which is line 2")


@pytest.mark.parametrize("text", ["", "\n\n", "sep=;\n", " \n"])
def test_a_file_of_nothing_else_has_no_rows(tmp_path, text):
    assert table(tmp_path / "a.csv", text).num_rows == 0


@pytest.mark.parametrize(
    "again", ["prompt,chosen\n", "\ufeffprompt,chosen\n", " prompt, chosen \n"]
)
def test_a_header_that_stands_there_once_more_is_no_row(tmp_path, again):
    read = table(tmp_path / "a.csv", f"prompt,chosen\na,b\n{again}c,d\nprompt,x\n")
    assert [tuple(row.cells.values()) for row in read.rows] == [
        ("a", "b"),
        ("c", "d"),
        ("prompt", "x"),
    ]
    assert [(line.row, line.reason) for line in read.malformed] == [(3, "the header once more")]
