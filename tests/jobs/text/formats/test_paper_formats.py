"""Formats of what Lee et al. 2024 and their sources release."""

import json

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from cluster.errors import UserError
from jobs.text import format


def lines(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def jigsaw(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(
        "id,comment_text,toxic,severe_toxic\n"
        'a,"one\n""two"", three",1,0\n'
        "b,four,0,1\n"
        "c,five,0,0\n"
        "d,,1,0\n"
        "e,six,maybe,0\n"
    )
    return path


@pytest.mark.parametrize(
    ("labels", "toxic"),
    [(["toxic"], [True, False, False]), (["toxic", "severe_toxic"], [True, True, False])],
)
def test_comments_are_toxic_by_any_of_the_labels_that_count(jigsaw, labels, toxic):
    reading = format.read("labelled", "jigsaw", jigsaw, {"labels": labels}, 0.5)
    assert [text.toxic for text in reading.items] == toxic
    assert reading.items[0].text == 'one\n"two", three'
    reasons = {row.row: row.reason for row in reading.malformed()}  # by their lines
    assert reasons == {6: "'comment_text' is empty", 7: "'toxic' is no label from 0 to 1"}


def test_a_label_that_the_file_lacks_is_named(jigsaw):
    with pytest.raises(UserError, match="obscene"):
        format.read("labelled", "jigsaw", jigsaw, {"labels": ["obscene"]})


def test_a_format_without_labels_says_which_have_them(tmp_path):
    with pytest.raises(UserError) as told:
        format.read("labelled", "text", tmp_path, {})
    assert "texts labelled as toxic or not" in str(told.value) and "jigsaw" in str(told.value)


def test_challenging_prompts_alone_are_read_where_the_rows_say_which(tmp_path):
    rows = [
        {"challenging": place == 1, "prompt": {"text": f"prompt {place}", "toxicity": 0.1}}
        for place in range(3)
    ]
    path = lines(tmp_path / "prompts.jsonl", rows)
    read = format.read("prompts", "realtoxicityprompts", path, {"challenging": True})
    assert [prompt.source for prompt in read.items] == ["prompt 1"]
    assert len(format.read("prompts", "realtoxicityprompts", path, {}).items) == 3
    unmarked = lines(tmp_path / "some.jsonl", [{"prompt": "one", "challenging": False}])
    with pytest.raises(UserError, match="marked challenging"):
        format.read("prompts", "realtoxicityprompts", unmarked, {"challenging": True})
    with pytest.raises(UserError, match="missing column challenging"):
        bare = lines(tmp_path / "bare.jsonl", [{"prompt": "one"}])
        format.read("prompts", "realtoxicityprompts", bare, {"challenging": True})


def test_prompts_come_with_their_answers(tmp_path):
    path = lines(tmp_path / "wiki.jsonl", [{"prompt": "one", "gold": " two"}, {"prompt": "three"}])
    read = format.read("prompts", "prompt-answer", path, {"columns": {"answer": "gold"}}, 0.5)
    assert [[s.text for s in prompt.segments] for prompt in read.items] == [["one", " two"]]
    assert [row.row for row in read.malformed()] == [2]


WIKITEXT = ["", " = Title = \n", "", " Words , and more . \n"]


def test_wikitext_is_one_text_from_rows_of_the_hub_as_from_its_lines(tmp_path):
    joined = "\n\n".join(WIKITEXT)  # as scripts that score it do
    parquet.write_table(pa.table({"text": WIKITEXT}), tmp_path / "test.parquet")
    (tmp_path / "wiki.test.raw.txt").write_text("".join(line or "\n" for line in WIKITEXT))
    for name in ("test.parquet", "wiki.test.raw.txt"):
        (prompt,) = format.read("prompts", "document", tmp_path / name, {}).items
        assert [(s.role, s.text) for s in prompt.segments] == [("response", joined)]
    bare = {"joined_by": " ", "line_ends": False}
    (prompt,) = format.read("prompts", "document", tmp_path / "test.parquet", bare).items
    assert prompt.source == "  = Title =    Words , and more . "


def test_a_document_of_blanks_is_refused(tmp_path):
    (tmp_path / "blank.txt").write_text("\n \n\n")
    with pytest.raises(UserError, match="nothing but blanks"):
        format.read("prompts", "document", tmp_path / "blank.txt", {})
