"""Columns that may belong to the prompt, splits in a column, and prompts that some sides repeat."""

import pytest

from jobs.text.source_check import check_source
from tests.jobs.text.written_rows import written

FORMAT = "prompt-chosen-rejected"


def notes(path, form=FORMAT, role="pairs", **options):
    return [
        note.partition(": ")[2]
        for note in check_source(role, form, str(path), {"held_out": 0, **options}, 0.1)
    ]


def pair(number, **more):
    return {"prompt": f"so {number}", "chosen": f" a {number}", "rejected": f" b {number}", **more}


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("input", "nothing reads 'input': if it belongs to the prompt"),
        ("System", "nothing reads 'System': if it belongs to the prompt"),
        ("split", "nothing reads 'split': rows of all its values are taken"),
    ],
)
@pytest.mark.parametrize("role", ["pairs", "prompts"])
def test_a_column_that_belongs_to_prompts_or_divides_rows_is_named(tmp_path, role, column, told):
    path = written(tmp_path / "pairs.jsonl", [pair(n, **{column: "x"}) for n in range(4)])
    (note,) = notes(path, role=role)
    assert note.startswith(told)


def test_other_columns_are_nobodys_prompt(tmp_path):
    path = written(tmp_path / "pairs.jsonl", [pair(n, id=n, language="en") for n in range(4)])
    assert notes(path) == []


def test_a_column_that_is_read_is_not_spoken_of(tmp_path):
    rows = [{"input": f"so {n}", "chosen": f" a {n}", "rejected": f" b {n}"} for n in range(4)]
    path = written(tmp_path / "pairs.jsonl", rows)
    assert notes(path, columns={"prompt": "input"}) == []


@pytest.mark.parametrize(("number", "is_told"), [(0, False), (1, False), (2, True), (17, True)])
def test_prompts_that_some_sides_repeat_are_told_where_none_is_taken_off(tmp_path, number, is_told):
    rows = [
        pair(n, chosen=f"so {n} a", rejected=f"so {n} b") if n < number else pair(n)
        for n in range(20)
    ]
    found = notes(written(tmp_path / "pairs.jsonl", rows))
    assert [note.startswith("both sides begin with their prompt in row") for note in found] == (
        [True] if is_told else []
    )


@pytest.mark.parametrize(
    "transcript",
    [
        "Human: {} Assistant:{}",
        "- role: user\n  content: {}\n- role: assistant\n  content:{}",
        "<turn who='user'>{}</turn><turn who='assistant'>{}</turn>",
    ],
)
def test_answers_that_hold_their_prompt_behind_other_words_are_told(tmp_path, transcript):
    rows = [
        {
            "prompt": f"what is {n}?",
            "chosen": transcript.format(f"what is {n}?", " good"),
            "rejected": transcript.format(f"what is {n}?", " bad"),
        }
        for n in range(4)
    ]
    (note,) = notes(written(tmp_path / "pairs.jsonl", rows))
    assert note.startswith("both sides hold their prompt, behind other words, in rows 1, 2, 3, 4:")


def test_answers_that_say_a_short_prompt_or_one_side_alone_are_not_told(tmp_path):
    rows = [
        {"prompt": "so", "chosen": f" and so {n}", "rejected": f" not so {n}"} for n in range(4)
    ]
    rows += [
        {"prompt": f"what is {n}?", "chosen": f"You ask: what is {n}?", "rejected": f"{n} is bad"}
        for n in range(4)
    ]
    assert notes(written(tmp_path / "pairs.jsonl", rows)) == []


def test_prompts_that_all_sides_repeat_are_taken_off(tmp_path):
    rows = [pair(n, chosen=f"so {n} a", rejected=f"so {n} b") for n in range(20)]
    assert notes(written(tmp_path / "pairs.jsonl", rows)) == [
        "both sides begin with their prompt: it is taken off"
    ]
