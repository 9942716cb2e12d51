"""Every kind of data file gives the same rows, or one sentence with the way on."""

import bz2
import csv
import gzip
import json
import lzma

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from cluster.errors import UserError
from jobs.text.data_file import read_table
from jobs.text.data_set import read_files
from jobs.text.rows.fault import row_numbers
from jobs.text.rows.file_bytes import read_bytes

NEEDED = ("prompt", "chosen")
ROWS = [{"prompt": "a, b", "chosen": 'say "c"'}, {"prompt": "d\ne", "chosen": "\tf"}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def cells(path):
    return [{name: row.cell(name) for name in NEEDED} for row in read_table(path, NEEDED).rows]


def written(path, content):
    path.write_bytes(content)
    return path


def malformed(path, content):
    return {line.row: line.reason for line in read_table(written(path, content), NEEDED).malformed}


def fault(path, content):
    with pytest.raises(UserError) as caught:
        read_table(written(path, content), NEEDED)
    assert caught.value.where == str(path)
    return caught.value


def delimited(path, delimiter):
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, NEEDED, delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(ROWS)


def arrow_stream(path):
    table = pyarrow.Table.from_pylist(ROWS)
    with pyarrow.ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table)


WRITERS = {
    "jsonl": lambda path: path.write_bytes(LINES),
    "ndjson": lambda path: path.write_bytes(LINES),
    "json": lambda path: path.write_text(json.dumps(ROWS, indent=1)),
    "lines.json": lambda path: path.write_bytes(LINES),
    "under_a_name.json": lambda path: path.write_text(json.dumps({"version": 1, "data": ROWS})),
    "columns.json": lambda path: path.write_text(
        json.dumps({name: [row[name] for row in ROWS] for name in NEEDED})
    ),
    "pandas.json": lambda path: path.write_text(
        json.dumps({name: {str(n): row[name] for n, row in enumerate(ROWS)} for name in NEEDED})
    ),
    "parquet": lambda path: pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path),
    "arrow": arrow_stream,
    "feather": lambda path: pyarrow.feather.write_feather(pyarrow.Table.from_pylist(ROWS), path),
    "csv": lambda path: delimited(path, ","),
    "semicolons.csv": lambda path: delimited(path, ";"),
    "tsv": lambda path: delimited(path, "\t"),
    "jsonl.gz": lambda path: path.write_bytes(gzip.compress(LINES)),
    "jsonl.bz2": lambda path: path.write_bytes(bz2.compress(LINES)),
    "jsonl.xz": lambda path: path.write_bytes(lzma.compress(LINES)),
    "jsonl.zst": lambda path: path.write_bytes(pyarrow.compress(LINES, codec="zstd", asbytes=True)),
    "packed-without-a-suffix.jsonl": lambda path: path.write_bytes(gzip.compress(LINES)),
    "utf16.jsonl": lambda path: path.write_text(LINES.decode(), encoding="utf-16"),
    "marked.jsonl": lambda path: path.write_text(LINES.decode(), encoding="utf-8-sig"),
    "windows.jsonl": lambda path: path.write_bytes(LINES.replace(b"\n", b"\r\n")),
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_kind_of_file_gives_the_same_cells(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    WRITERS[suffix](path)
    assert cells(path) == ROWS


def test_what_pzstd_packs_in_many_frames_is_read_whole(tmp_path):
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00size"
    halves = (b'{"text": "one"}\n', b'{"text": "two"}\n')
    packed = (pyarrow.compress(half, codec="zstd", asbytes=True) for half in halves)
    path = tmp_path / "texts.jsonl.zst"
    path.write_bytes(b"".join(skipped + frame for frame in packed))
    assert [row.cells["text"] for row in read_table(path, ["text"]).rows] == ["one", "two"]


@pytest.mark.parametrize("suffix", ["jsonl.gz", "jsonl.bz2", "jsonl.xz", "jsonl.zst"])
def test_a_packed_file_that_was_cut_off_is_refused(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    WRITERS[suffix](path)
    assert "not a whole" in fault(path, path.read_bytes()[:-7]).error
    assert "not a whole" in fault(path, b"{}").error


def test_a_file_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.text.rows.file_bytes._ALWAYS_ALLOWED", 1 << 20)
    path = written(tmp_path / "bomb.jsonl.gz", gzip.compress(b"\0" * (1 << 23)))
    with pytest.raises(UserError, match="unpack to more than"):
        read_bytes(path)


@pytest.mark.parametrize(
    "content, error, way_on",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS", "git lfs pull"),
        (b"PK\x03\x04....", "zip archive", "unpack it"),
        (b"<!DOCTYPE html><html>", "web page", "/resolve/"),
        (b"\x80\x04\x95....", "pickle", "jsonl or parquet"),
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "arrow", "csv"])
def test_what_stands_in_place_of_a_file_is_named_with_the_way_on(
    tmp_path, suffix, content, error, way_on
):
    refused = fault(tmp_path / f"rows.{suffix}", content)
    assert error in refused.error and way_on in refused.hint


def test_rows_of_a_delimited_file_have_the_number_of_their_first_line(tmp_path):
    path = written(tmp_path / "rows.csv", b'prompt,chosen\n"a\nb",c\nd,e\n')
    assert [row.number for row in read_table(path, NEEDED).rows] == [2, 4]


@pytest.mark.parametrize(
    "line", ['"Well done" they said\tx', 'a\t"so nice', 'a\tsaid "no"', '"quoted speech"\tb']
)
def test_a_tsv_without_quoting_keeps_its_quotes(tmp_path, line):
    rows = ["p\tc", line, "p\tc", 'x\tends "', "p\tc"]
    text = "\n".join(["prompt\tchosen", *rows]) + "\n"
    path = written(tmp_path / "rows.tsv", text.encode())
    assert ["\t".join(row.values()) for row in cells(path)] == rows


@pytest.mark.parametrize(
    "text", ['"prompt"\t"chosen"\n"a"\t"b"\n', 'prompt\tchosen\n"say ""a"""\tb\n']
)
def test_a_tsv_that_a_writer_quoted_is_unquoted(tmp_path, text):
    (row,) = cells(written(tmp_path / "rows.tsv", text.encode()))
    assert row in ({"prompt": "a", "chosen": "b"}, {"prompt": 'say "a"', "chosen": "b"})


def test_lines_that_are_not_utf8_are_the_files_fault_with_their_numbers(tmp_path):
    good = b'{"prompt": "a", "chosen": "b"}\n'
    refused = fault(tmp_path / "rows.jsonl", good + b'{"prompt": "\xff"}\n' + good + b"\xfe\n")
    assert refused.error == "not UTF-8: rows 2, 4" and "iconv" in refused.hint
    assert "UTF-16" in fault(tmp_path / "rows.jsonl", good.decode().encode("utf-16-le")).error


def test_lines_that_are_no_rows_are_listed_each_with_its_reason(tmp_path):
    deep, digits = b"[" * 100_000, b'{"n": ' + b"7" * 5_000 + b"}"
    content = b'{"prompt": "a"}\n{"prompt": \n\n[1]\n' + deep + b"\n" + digits + b"\n"
    assert malformed(tmp_path / "rows.jsonl", content) == {
        2: "not JSON",
        3: "empty line",
        4: "not a JSON object",
        5: "JSON that is nested too deeply",
        6: "a number of too many digits",
    }


def test_rows_with_too_many_cells_and_empty_rows_are_listed(tmp_path):
    listed = malformed(tmp_path / "rows.tsv", b"prompt\tchosen\na\tb\tc\n\nd\te\n")
    assert listed == {2: "more than 2 cells", 3: "empty row"}


def test_an_open_quote_is_a_clear_fault(tmp_path):
    assert "row 2" in fault(tmp_path / "rows.csv", b'prompt,chosen\n"a,b\nc,d\n').error


@pytest.mark.parametrize(
    ("cell", "error", "hint"),
    [
        (b"one\rtwo", "row 2: a carriage return (\\r) stands in a cell", "quote the cells"),
        (b'"say \\"so\\" then"', "row 2: ',' expected", "as Spark and MySQL do"),
        (b'"say "so" then"', "row 2: ',' expected", "double the quotes"),
    ],
)
def test_what_keeps_a_csv_from_being_read_is_told_with_the_way_on(tmp_path, cell, error, hint):
    told = fault(tmp_path / "rows.csv", b"prompt,chosen\n%s,b\n" % cell)
    assert error in told.error and hint in told.hint


@pytest.mark.parametrize("suffix, content", [("csv", b"prompt,chosen\n"), ("jsonl", b"")])
def test_a_file_without_rows_is_refused(tmp_path, suffix, content):
    path = written(tmp_path / f"rows.{suffix}", content)
    with pytest.raises(UserError, match="it holds no rows"):
        read_files([path], NEEDED)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
def test_binary_files_that_are_broken_are_refused(tmp_path, suffix):
    assert "not a" in fault(tmp_path / f"rows.{suffix}", b"nothing of the sort").error
    path = tmp_path / f"rows.{suffix}"
    WRITERS[suffix](path)
    whole = path.read_bytes()
    assert "broken" in fault(path, whole[: len(whole) // 2]).error


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_cell_that_is_not_utf8_costs_its_row_alone(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    texts = pyarrow.array([b"a", b"\xff", b"c"], pyarrow.binary()).view(pyarrow.string())
    table = pyarrow.table({"prompt": texts, "chosen": ["x", "y", "z"]})
    if suffix == "parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        with pyarrow.ipc.new_file(path, table.schema) as stream:
            stream.write_table(table)
    read = read_table(path, NEEDED)
    assert [row.number for row in read.rows] == [1, 3]
    assert [(line.row, line.reason) for line in read.malformed] == [(2, "'prompt' is not UTF-8")]


def test_columns_that_nobody_asks_for_are_named_and_not_read(tmp_path):
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"prompt": ["a"], "score": [1]}), path)
    table = read_table(path, NEEDED)
    assert table.columns == ["prompt", "score"] and "score" not in table.rows[0].cells


def test_an_unknown_suffix_lists_those_that_are_read(tmp_path):
    refused = fault(tmp_path / "rows.xlsx", b"")
    assert {".csv", ".jsonl", ".json", ".parquet", ".arrow", ".tsv"} <= set(refused.allowed)


def test_many_rows_are_cut_and_counted():
    assert row_numbers(range(1, 9)) == "rows 1, 2, 3, 4, 5, ... (8 rows)"
    assert row_numbers([7]) == "row 7"


def test_an_arrow_file_whose_offsets_point_elsewhere_ends_no_process(tmp_path):
    import struct

    offsets = pyarrow.py_buffer(struct.pack("<4i", 0, 1, 1 << 30, 3))
    texts = pyarrow.Array.from_buffers(
        pyarrow.string(), 3, [None, offsets, pyarrow.py_buffer(b"abc")]
    )
    path = tmp_path / "rows.arrow"
    with pyarrow.ipc.new_file(path, pyarrow.schema({"prompt": pyarrow.string()})) as stream:
        stream.write_batch(pyarrow.record_batch({"prompt": texts}))
    assert "broken" in fault(path, path.read_bytes()).error


def test_texts_inside_lists_that_are_not_utf8_cost_their_row_alone(tmp_path):
    texts = pyarrow.array([b"a", b"\xff", b"c"], pyarrow.binary()).view(pyarrow.string())
    turns = pyarrow.StructArray.from_arrays([texts], names=["content"])
    lists = pyarrow.ListArray.from_arrays(pyarrow.array([0, 1, 2, 3], pyarrow.int32()), turns)
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"chosen": lists}), path)
    assert [row.number for row in read_table(path, NEEDED).rows] == [1, 3]


def test_a_message_names_no_endless_list_of_columns(tmp_path):
    from jobs.text.rows.fault import listed, shown

    assert len(shown(["x" * 5_000] * 200)) < 3_000
    assert "\ud83d" not in shown(["\ud83d"])
    assert listed({f"reason {n}": [n] for n in range(50)}).endswith("and 40 other kinds of fault")


DOUBLED = {
    "csv": b"prompt,chosen,chosen\na,b,c\n",
    "tsv": b"prompt\tchosen \tchosen\na\tb\tc\n",
    "json": b'{"prompt": ["a", "d"], "chosen": ["b", "e"], "chosen": ["c", "f"]}',
}


@pytest.mark.parametrize("suffix", DOUBLED)
def test_a_column_that_stands_there_twice_is_refused_by_name(tmp_path, suffix):
    assert "chosen" in fault(tmp_path / f"rows.{suffix}", DOUBLED[suffix]).error


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_doubled_column_of_a_binary_file_is_refused_where_it_is_read(tmp_path, suffix):
    def write(names):
        table = pyarrow.table([["a"], ["b"], ["c"]], names=names)
        if suffix == "parquet":
            pyarrow.parquet.write_table(table, path)
        else:
            pyarrow.feather.write_feather(table, path, compression="uncompressed")

    path = tmp_path / f"rows.{suffix}"
    write(["prompt", "chosen", "chosen"])
    assert "chosen stands there several times" in fault(path, path.read_bytes()).error
    write(["prompt", "note", "note"])
    assert read_table(path, NEEDED).rows[0].cells["prompt"] == "a"


def test_doubled_columns_that_nothing_reads_refuse_no_file(tmp_path):
    path = written(tmp_path / "rows.csv", b",prompt,note,note,chosen,,\n0,a,x,y,b,,\n")
    assert cells(path) == [{"prompt": "a", "chosen": "b"}]


def test_a_name_that_stands_twice_in_a_row_of_json_is_its_fault_where_it_is_read(tmp_path):
    rows = [
        '{"prompt": "a", "chosen": "b", "chosen": "c"}',
        '{"prompt": "a", "chosen": "b", "note": 1, "note": 2}',
        '{"prompt": "a", "chosen": [{"role": "user", "content": "x", "content": "y"}]}',
    ]
    reasons = {1: "it has chosen twice", 3: "'chosen' has content twice"}
    assert malformed(tmp_path / "rows.jsonl", "\n".join(rows).encode()) == reasons
    assert malformed(tmp_path / "rows.json", f"[{','.join(rows)}]".encode()) == reasons


def test_lists_of_rows_under_one_name_twice_are_refused(tmp_path):
    content = b'{"data": [{"prompt": "a"}], "data": [{"prompt": "b"}]}'
    assert "data stands there several times" in fault(tmp_path / "rows.json", content).error


@pytest.mark.parametrize(
    "line", ['"a, b", "c"', 'a,  "c, d"', ' "a", c', 'a, "say ""c""" ', 'a, "c\nd"']
)
def test_cells_that_are_quoted_behind_a_blank_are_refused(tmp_path, line):
    content = f"prompt, chosen\nx,y\n{line}\n".encode()
    refused = fault(tmp_path / "rows.csv", content)
    assert "a blank stands before the quotes of cells: row 3" in refused.error


@pytest.mark.parametrize(
    "line, cell",
    [
        ('a, "c" he said', ' "c" he said'),
        ('a," ""c"""', ' "c"'),
        ('a,"c, ""d"", e"', 'c, "d", e'),
        ('a,"c\n, ""d"""', 'c\n, "d"'),
        ('a, 6" long', ' 6" long'),
    ],
)
def test_quotes_inside_cells_are_text_behind_a_blank_too(tmp_path, line, cell):
    path = written(tmp_path / "rows.csv", f"prompt,chosen\n{line}\n".encode())
    assert [row["chosen"] for row in cells(path)] == [cell]


def test_a_tsv_whose_rows_are_all_quoted_and_whose_header_is_not_is_refused(tmp_path):
    content = b'prompt\tchosen\tscore\n"a"\t"b"\t1\n"c"\t"d"\t\n'
    assert "the header is not" in fault(tmp_path / "rows.tsv", content).error
    path = written(tmp_path / "plain.tsv", b'prompt\tchosen\n"a"\tb\n"c"\td\n')
    assert cells(path) == [{"prompt": '"a"', "chosen": "b"}, {"prompt": '"c"', "chosen": "d"}]
