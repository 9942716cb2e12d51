import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest

from cluster.errors import UserError
from jobs.text.data_file import read_rows, row_numbers

NEEDED = ("prompt", "chosen")


def cells(rows):
    return [dict(row.cells) for row in rows]


ROWS = [{"prompt": "a, b", "chosen": 'say "c"'}, {"prompt": "d\ne", "chosen": "\tf"}]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv", "tsv"])
def test_every_kind_of_file_gives_the_same_cells(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif suffix == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    else:
        import csv

        with open(path, "w", newline="") as stream:
            writer = csv.DictWriter(
                stream, NEEDED, delimiter="," if suffix == "csv" else "\t", lineterminator="\n"
            )
            writer.writeheader()
            writer.writerows(ROWS)
    assert cells(read_rows(path, NEEDED)) == ROWS


def test_a_compressed_file_gives_the_same_cells(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode()))
    assert cells(read_rows(path, NEEDED)) == ROWS


def test_a_compressed_file_that_was_cut_off_is_refused(tmp_path):
    whole = gzip.compress(b'{"prompt": "a", "chosen": "b"}\n' * 50)
    assert "not a whole gzip file" in fault(tmp_path / "rows.jsonl.gz", whole[:-12]).error
    assert "not a whole gzip file" in fault(tmp_path / "rows.jsonl.gz", b"{}").error


def test_cells_that_must_be_lists_are_numbered_where_they_are_none(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": ["a"], "chosen": []}, {"prompt": "a", "chosen": ["b"]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError) as caught:
        read_rows(path, NEEDED, lists=True)
    assert caught.value.error == "'chosen' is empty: row 1; 'prompt' is not a list: row 2"


def test_rows_of_a_delimited_file_have_the_number_of_their_first_line(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('prompt,chosen\n"a\nb",c\nd,e\n')
    assert [row.number for row in read_rows(path, NEEDED)] == [2, 4]


def test_a_mark_of_byte_order_is_no_part_of_a_column(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_bytes(b"\xef\xbb\xbfprompt\tchosen\r\na\tb\r\n")
    assert cells(read_rows(path, NEEDED)) == [{"prompt": "a", "chosen": "b"}]


def fault(path, content):
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_rows(path, NEEDED)
    assert caught.value.where == str(path)
    return caught.value


def test_missing_columns_are_named_with_those_that_exist(tmp_path):
    found = fault(tmp_path / "rows.jsonl", b'{"prompt": "a", "answer": "b"}\n')
    assert found.error == "missing column chosen"
    assert found.hint == "it has prompt, answer; needed are prompt, chosen"


def test_lines_that_are_not_utf8_are_numbered(tmp_path):
    good = b'{"prompt": "a", "chosen": "b"}\n'
    found = fault(tmp_path / "rows.jsonl", good + b'{"prompt": "\xff"}\n' + good + b"\xfe\n")
    assert found.error == "not UTF-8: rows 2, 4"


def test_lines_that_are_not_json_objects_are_numbered_together(tmp_path):
    content = b'{"prompt": "a", "chosen": "b"}\n{"prompt": \n\n[1]\n'
    found = fault(tmp_path / "rows.jsonl", content)
    assert found.error == "not JSON: row 2; empty line: row 3; not a JSON object: row 4"


def test_empty_and_other_than_text_cells_are_numbered_by_column(tmp_path):
    rows = [
        {"prompt": "a", "chosen": "b"},
        {"prompt": " ", "chosen": "b"},
        {"prompt": "a"},
        {"prompt": 3, "chosen": "b"},
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    found = fault(tmp_path / "rows.jsonl", content)
    assert found.error == (
        "'prompt' is empty: row 2; 'chosen' is empty: row 3; 'prompt' is not text: row 4"
    )


def test_rows_with_too_many_cells_and_empty_rows_are_numbered(tmp_path):
    found = fault(tmp_path / "rows.tsv", b"prompt\tchosen\na\tb\tc\n\nd\te\n")
    assert found.error == "more than 2 cells: row 2; empty row: row 3"


def test_an_open_quote_is_a_clear_fault(tmp_path):
    assert "row 2" in fault(tmp_path / "rows.csv", b'prompt,chosen\n"a,b\nc,d\n').error


def test_a_file_without_rows_is_refused(tmp_path):
    assert fault(tmp_path / "rows.csv", b"prompt,chosen\n").error == "it holds no rows"
    assert fault(tmp_path / "rows.jsonl", b"").error == "it holds no rows"


def test_what_only_claims_to_be_parquet_is_refused(tmp_path):
    assert "not a parquet file" in fault(tmp_path / "rows.parquet", b"nothing of the sort").error


def test_an_unknown_suffix_lists_those_that_are_read(tmp_path):
    found = fault(tmp_path / "rows.xlsx", b"")
    assert found.allowed == [".csv", ".jsonl", ".jsonl.gz", ".parquet", ".tsv"]


def test_many_rows_are_cut_and_counted():
    assert row_numbers(range(1, 9)) == "rows 1, 2, 3, 4, 5, ... (8 rows)"
    assert row_numbers([7]) == "row 7"
