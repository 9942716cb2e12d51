"""A prompt that answers repeat is said once."""

import pytest

from jobs.kinds.pairs import Pairs
from jobs.text import format
from tests.jobs.text.written_rows import said, written

PLAIN = "prompt-chosen-rejected"


def read(tmp_path, rows, name=PLAIN, role="pairs"):
    return format.read(role, name, written(tmp_path / "rows.jsonl", rows), {})


def whole(prompt, before=""):
    return {"prompt": prompt, "chosen": f"{before}{prompt} a", "rejected": f"{before}{prompt} b"}


def test_sides_that_hold_their_prompt_are_what_follows_it(tmp_path):
    reading = read(tmp_path, [whole(f"The driver {n}") for n in range(12)])
    assert {(pair.chosen, pair.rejected) for pair in reading.items} == {(" a", " b")}
    assert [pair.prompt for pair in reading.items[:2]] == ["The driver 0", "The driver 1"]
    assert "it is taken off" in reading.notes[0]


@pytest.mark.parametrize(
    "prompt, side, rest",
    [("why? ", "why? so", "so"), ("why?\n", "why? so", "so"), ("why?", "  why? so", " so")],
)
def test_white_space_around_a_repeated_prompt_is_no_difference(tmp_path, prompt, side, rest):
    row = {"prompt": prompt, "chosen": side, "rejected": side + " not"}
    (pair,) = read(tmp_path, [row]).items
    assert (pair.chosen, pair.rejected) == (rest, f"{rest} not")


def test_a_row_without_the_prompt_among_rows_with_it_is_left_out(tmp_path):
    rows = [whole(f"The driver {n}") for n in range(20)]
    other = {"prompt": "A lone one", "chosen": " a", "rejected": " b"}
    alone = {"prompt": "Nothing more", "chosen": "Nothing more", "rejected": "Nothing more b"}
    reading = read(tmp_path, [*rows, other, alone])
    assert [each.row for each in reading.dropped] == [21, 22]
    assert "does not begin with the prompt" in reading.dropped[0].reason
    assert reading.dropped[1].reason == "'chosen' is the prompt alone"


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "in", "chosen": "inside", "rejected": "indeed"},
        {"prompt": "Say it", "chosen": "Say it twice", "rejected": " never"},
    ],
)
def test_an_answer_that_only_opens_alike_keeps_every_word(tmp_path, row):
    (pair,) = read(tmp_path, [row]).items
    assert (pair.chosen, pair.rejected) == (row["chosen"], row["rejected"])


def test_some_answers_that_say_their_prompt_again_are_answers(tmp_path):
    rows = [{"prompt": f"p{n}", "chosen": " a", "rejected": " b"} for n in range(8)]
    reading = read(tmp_path, [*rows, *(whole(f"So {n}") for n in range(8))])
    assert reading.items[-1].chosen == "So 7 a" and not reading.dropped


def test_transcripts_beside_their_prompt_are_what_follows_it(tmp_path):
    rows = [whole(f"\n\nHuman: q{n}\n\nAssistant:") for n in range(9)]
    assert {pair.chosen for pair in read(tmp_path, rows).items} == {" a"}


def test_pairs_and_prompts_of_one_source_leave_off_the_same(tmp_path):
    rows = [whole(f"The driver {n}") for n in range(9)]
    prompts = read(tmp_path, rows, role="prompts").items
    assert [each.text for each in prompts[0].segments] == ["The driver 0", " a"]


def test_answers_of_prompt_answer_that_hold_their_prompt_are_what_follows_it(tmp_path):
    rows = [{"prompt": f"The driver {n}", "answer": f"The driver {n} was calm"} for n in range(9)]
    reading = read(tmp_path, rows, "prompt-answer", "prompts")
    assert {each.segments[1].text for each in reading.items} == {" was calm"}
    assert "it is taken off" in reading.notes[0]


SYSTEM, ASK = said("system", "be nice"), said("user", "ask")
FIRST = [said("user", "hi"), said("assistant", "hello")]
REPEATED = {
    "a system turn in the prompt alone": ([SYSTEM, ASK], [ASK], "\n\nSystem: be nice"),
    "a system turn in the sides alone": ([ASK], [SYSTEM, ASK], "\n\nSystem: be nice"),
    "a system turn in both": ([SYSTEM, ASK], [SYSTEM, ASK], "\n\nSystem: be nice"),
    "other system turns": ([said("system", "x"), ASK], [SYSTEM, ASK], "\n\nSystem: be nice"),
    "white space": ([said("user", " ask\n")], [ASK], ""),
    "the last turn": ([*FIRST, ASK], [ASK], "\n\nHuman: hi\n\nAssistant: hello"),
    "the system alone": ([SYSTEM], [SYSTEM, ASK], "\n\nSystem: be nice"),
    "nothing, behind the system": ([SYSTEM], [ASK], "\n\nSystem: be nice"),
    "nothing": ([ASK], [], ""),
}


@pytest.mark.parametrize("form", REPEATED)
def test_a_question_that_sides_repeat_but_for_the_system_and_blanks_is_asked_once(tmp_path, form):
    prompt, sides, opening = REPEATED[form]
    row = {"prompt": prompt, **{s: [*sides, said("assistant", s)] for s in ("chosen", "rejected")}}
    (pair,) = read(tmp_path, [row], "messages").items
    assert pair.prompt.replace("  ", " ") == f"{opening}\n\nHuman: ask\n\nAssistant:"
    assert (pair.chosen, pair.rejected) == (" chosen", " rejected")


def test_a_version_in_which_a_format_reads_otherwise_is_in_the_key_and_a_first_one_is_not():
    kind = Pairs()
    assert kind.pins(kind.Params(format="nursery"), {}) == {}
    for name in (PLAIN, "messages", "prompt-answer", "hh-rlhf"):
        assert format.version_pins(name) == {"format": f"{name}/2"}
    for name in ("text", "document", "jigsaw", "paradetox", "realtoxicityprompts"):
        assert format.version_pins(name) == {}
