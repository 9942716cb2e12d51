"""A file that is none of rows is told by its bytes: what it is, and what to do."""

import gzip
import io
import tarfile

import pytest

from cluster.errors import UserError
from jobs.text.data_file import read_table

POINTERS = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n": ("Git LFS", "git lfs pull"),
    b"\xef\xbb\xbfversion https://git-lfs.github.com/spec/v1\r\n": ("Git LFS", "git lfs pull"),
    b"version https://hawser.github.com/spec/v1\noid sha256:0\n": ("Git LFS", "git lfs pull"),
    b"# xet version 0\nfilesize = 1\n": ("git-xet", "git xet checkout"),
    b"/annex/objects/SHA256E-s3--00.jsonl\n": ("git-annex", "git annex get"),
}
OTHERS = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(300): ("workbook (xls)", "as csv"),
    b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml" + bytes(300): ("workbook (xlsx)", "as csv"),
    b"PK\x03\x04" + bytes(26) + b"rows.csv" + bytes(300): ("zip archive", "unpack"),
    b"\x80\x02}q\x00" + bytes(300): ("pickle", "jsonl or parquet"),
    b"%PDF-1.7\n" + bytes(300): ("PDF", "csv"),
    b"SQLite format 3\0" + bytes(300): ("SQLite", "jsonl or parquet"),
    b"<!-- a --><html>": ("web page", "/resolve/"),
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>": ("web page", "/resolve/"),
    b"Access to dataset org/name is restricted.": ("is a text", "/resolve/"),
}


def fault(path, content):
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_table(path, ("prompt",))
    assert caught.value.where == str(path)
    return caught.value


def archive():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("rows.jsonl"))
    return stream.getvalue()


@pytest.mark.parametrize("content", [*POINTERS, *OTHERS], ids=lambda content: content[:12])
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "arrow"])
def test_what_stands_in_place_of_rows_is_told_by_its_bytes(tmp_path, suffix, content):
    what, way_on = {**POINTERS, **OTHERS}[content]
    told = fault(tmp_path / f"rows.{suffix}", content)
    assert what in told.error and way_on in told.hint


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("rows.jsonl", b"PAR1" + bytes(100), "a parquet file"),
        ("rows.arrow", b"PAR1" + bytes(100), "a parquet file"),
        ("rows.csv", b"ARROW1\0\0" + bytes(100), "an Arrow file"),
        ("rows.parquet", b"ARROW1\0\0" + bytes(100), "an Arrow file"),
        ("rows.parquet", b'{"prompt": "a"}\n', 'a text, not a parquet file: \'{"prompt"'),
        ("rows.jsonl", archive(), "a tar archive"),
        ("rows.jsonl.gz", gzip.compress(archive()), "a tar archive"),
        ("rows.jsonl.gz", gzip.compress(b"PAR1" + bytes(100)), "a parquet file"),
        ("rows.jsonl.gz", gzip.compress(gzip.compress(b"{}")), "packed twice, with gzip and"),
    ],
    ids=lambda value: value if isinstance(value, str) else "bytes",  # gzip writes the time
)
def test_rows_under_the_name_of_another_kind_are_told(tmp_path, name, content, what):
    told = fault(tmp_path / name, content)
    assert what in told.error and "UTF" not in told.error


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_an_encoding_that_its_zero_bytes_tell_is_named(tmp_path, encoding):
    told = fault(tmp_path / "rows.csv", "prompt,chosen\nÄ b,c d\n".encode(encoding))
    name = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    assert name in told.error and f"iconv -f {name} -t UTF-8" in told.hint


def test_zeros_that_a_crash_left_are_no_encoding(tmp_path):
    told = fault(tmp_path / "rows.jsonl", b'{"prompt": "a"}\n' * 2 + bytes(4096))
    assert "4,096 of 4,128 bytes are zero, the first in row 3" in told.error
    assert "UTF" not in str(told)


@pytest.mark.parametrize(
    ("word", "encoding", "read_as"), [("Café", "cp1252", "Café"), ("你好", "gbk", "ÄãºÃ")]
)
def test_another_encoding_is_shown_as_it_would_read_and_never_claimed(
    tmp_path, word, encoding, read_as
):
    told = fault(tmp_path / "rows.csv", f"prompt\na\n{word} b\n".encode(encoding))
    assert told.error == "not UTF-8: row 3"
    assert "iconv -f ENCODING" in told.hint and f"would read '{read_as} b'" in told.hint


def test_a_prompt_that_sounds_like_a_servers_answer_is_a_prompt(tmp_path):
    from jobs.text.source_check import read_source

    path = tmp_path / "prompts.txt"
    path.write_text("Access denied, said the\n")
    assert read_source("prompts", "realtoxicityprompts", str(path), {}, 0.0).num_rows == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "PAR1,prompt\nx,why?\n"),
        ("rows.csv", "404,prompt\nx,why?\n"),
        ("rows.csv", "prompt,404\n"),
        ("rows.csv", "<?xml,prompt\nx,why?\n"),
    ],
)
def test_a_header_that_begins_as_something_else_does_is_a_header(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert "prompt" in read_table(tmp_path / name, ("prompt",)).columns
