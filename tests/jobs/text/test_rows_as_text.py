"""Rows that are called text are refused, with the name that they should have."""

import json

import pytest

from cluster.errors import UserError
from jobs.text.source_check import check_source, read_source

WORDS = " ".join(f"word{n}" for n in range(40))
TEXTS = [f"{name} {WORDS}" for name in ("apple", "river", "stone", "cloud")]
OBJECTS = [{"id": number, "text": text} for number, text in enumerate(TEXTS)]
READ = {"held_out": 0}


def refused(path, content, form="text"):
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as fault:
        read_source("prompts", form, str(path), READ if form == "text" else {}, 0.1)
    return f"{fault.value.error}; {fault.value.hint}"


@pytest.mark.parametrize("form", ["text", "document", "realtoxicityprompts"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("\n".join(map(json.dumps, OBJECTS)), "lines are JSON objects, not text; call it .jsonl"),
        ("\n".join(map(repr, OBJECTS)), "objects as Python writes them"),
        (json.dumps(OBJECTS, indent=1), "a JSON list of objects, not text; call it .json"),
        (json.dumps(TEXTS), "a JSON list of texts, not text; write one text a line"),
        (json.dumps(TEXTS, indent=1), "a JSON list of texts, not text; write one text a line"),
        (
            "id,text\n" + "\n".join(f'{n},"{text}"' for n, text in enumerate(TEXTS)),
            "rows of a table with the columns id, text, not text; call it .csv",
        ),
        (
            "id\ttext\n" + "\n".join(f"{n}\t{text}" for n, text in enumerate(TEXTS)),
            "rows of a table with the columns id, text, not text; call it .tsv",
        ),
    ],
)
def test_rows_in_a_text_are_refused_with_the_way_on(tmp_path, form, content, told):
    assert told in refused(tmp_path / "prompts.txt", content, form)


@pytest.mark.parametrize(
    "first",
    [
        "Well, then",
        "[sic] he said",
        "{curly} he said",
        "red,green,blue",
        '"so"',
        "a\tb c",
    ],
)
def test_text_that_begins_as_rows_do_is_text(tmp_path, first):
    path = tmp_path / "prompts.txt"
    path.write_text("\n".join([first, *TEXTS]), encoding="utf-8")
    assert len(read_source("prompts", "text", str(path), READ, 0.1).items) == len(TEXTS)
    assert check_source("prompts", "text", str(path), READ, 0.1) == ()


def test_quotes_around_every_line_are_told(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("\n".join(map(json.dumps, TEXTS)), encoding="utf-8")
    (note,) = check_source("prompts", "text", str(path), READ, 0.1)
    assert "every line stands in quotes" in note


def test_a_list_of_texts_in_json_is_named(tmp_path):
    told = refused(tmp_path / "prompts.json", json.dumps(TEXTS))
    assert "a list of texts, not of objects (one text a line is read from a .txt)" in told


def test_a_document_of_broken_rows_says_what_is_broken(tmp_path):
    told = refused(tmp_path / "book.jsonl", "\n".join(map(repr, OBJECTS)), "document")
    assert "not JSON" in told and "blanks" not in told
