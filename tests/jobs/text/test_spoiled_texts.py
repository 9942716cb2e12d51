"""What other programs left in texts is said when a study is planned; nothing is changed."""

import json

import pytest

from jobs.text.source_check import check_source, read_source
from tests.jobs.text.written_rows import said, written

FORMAT = "prompt-chosen-rejected"


def pair(number, chosen=" it is fine", prompt="so"):
    return {"prompt": f"{prompt} {number}", "chosen": chosen, "rejected": f" no {number}"}


def notes(path, form=FORMAT, role="pairs", **options):
    return [
        note.partition(": ")[2]
        for note in check_source(role, form, str(path), {"held_out": 0, **options}, 0.1)
    ]


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ("nan", "empty or a broken cell"),
        (" #NAME?", "empty or a broken cell"),
        (" one\\ntwo", "written out in place of line breaks"),
        (" it&#39;s", "as web pages do"),
        (" you &amp; me", "as web pages do"),
        (" it\u00e2\u20ac\u2122s", "taken for WINDOWS-1252"),
        (" caf\u00c3\u00a9", "taken for WINDOWS-1252"),
        (" caf\ufffd", "a character that was lost"),
        (" so\0", "zero bytes"),
        ("b' so'", "as Python writes them"),
        ("['so']", "as Python writes them"),
        ("{'text': 'so', 'score': 1}", "begin as objects that programs write"),
        (' {"text": "so"}', "begin as objects that programs write"),
        ("[{'answer': 'so'}]", "begin as objects that programs write"),
        ("x" * 32_767, "at which a spreadsheet cuts a cell"),
    ],
)
def test_traces_of_other_programs_are_said_with_their_rows(tmp_path, chosen, told):
    path = written(tmp_path / "pairs.jsonl", [pair(number, chosen) for number in range(6)])
    (note,) = notes(path)
    assert told in note and "rows 1, 2, 3, 4, 5, ... (6 rows)" in note
    items = read_source("pairs", FORMAT, str(path), {"held_out": 0}, 0.1).items
    assert [item.chosen for item in items] == [chosen] * 6


@pytest.mark.parametrize(
    "chosen",
    [
        " none of them",
        " NULL pointers",
        " AT&T; R&D",
        " \u00c3O and \u00c2ngela \u00e0 Paris, \u00e2ge",
        " b'x",
        " print('a\\n')\nprint('b')",
        " [1, 2]",
        " {so: 1}",
        "{ 'a' } is a set",
    ],
)
def test_what_is_meant_is_not_said(tmp_path, chosen):
    rows = [pair(number, chosen) for number in range(6)]
    assert notes(written(tmp_path / "pairs.jsonl", rows)) == []


def test_a_row_or_two_of_many_with_entities_are_no_habit_of_the_source(tmp_path):
    rows = [pair(number, " &amp;" if number < 2 else " so") for number in range(6)]
    assert notes(written(tmp_path / "pairs.jsonl", rows)) == []


def test_code_with_escapes_and_line_breaks_of_its_own_is_code(tmp_path):
    rows = [pair(n, " print('\\n')" if n < 3 else " a = 1\nb = 2") for n in range(8)]
    assert notes(written(tmp_path / "pairs.jsonl", rows)) == []


def test_turns_are_looked_at_without_the_marks_that_are_ours(tmp_path):
    rows = [
        {
            side: [said("user", f"one\\ntwo {number}"), said("assistant", side)]
            for side in ("chosen", "rejected")
        }
        for number in range(6)
    ]
    (note,) = notes(written(tmp_path / "pairs.jsonl", rows), "messages")
    assert "written out in place of line breaks" in note


def test_prompts_and_texts_are_looked_at_too(tmp_path):
    lines = [f"one two &amp; three four five six seven {number}" for number in range(5)]
    path = written(tmp_path / "texts.jsonl", [{"text": line} for line in lines])
    (note,) = notes(path, "text", "texts", min_words=2)
    assert note.startswith("texts of 5 texts have signs written as web pages do")
    (note,) = notes(path, "text", "prompts", prompt_words=3, min_words=2)
    assert note.startswith("texts of rows 1, 2, 3, 4, 5 have signs written as web pages do")


def test_pairs_that_stand_there_in_both_orders_are_counted(tmp_path):
    first = {"prompt": "so", "chosen": " a", "rejected": " b"}
    other = {"prompt": "so", "chosen": " b", "rejected": " a"}
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (first, pair(1), other)))
    assert notes(path) == [
        "both orders of the same two answers are preferred in rows 1, 3: such pairs take each "
        "other back"
    ]
