"""Preferences between dialogues: HH-RLHF's transcripts and chat messages."""

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest

from cluster.errors import UserError
from jobs.kinds.pairs import Pairs
from jobs.text import format
from tests.jobs.text.written_rows import said, written

START = "\n\nHuman: hi there\n\nAssistant: hello\n\nHuman: how?\n\nAssistant:"


def transcripts(tmp_path, *rows):
    named = [{"chosen": chosen, "rejected": rejected} for chosen, rejected in rows]
    return written(tmp_path / "hh.jsonl", named)


ASKED = [said("user", "hi there"), said("assistant", "hello"), said("user", "how?")]


def test_two_transcripts_become_what_they_share_and_both_last_answers(tmp_path):
    path = transcripts(tmp_path, (START + " like this", START + " no\n\nnot at all"))
    (pair,) = format.read("pairs", "hh-rlhf", path, {}).items
    assert (pair.row, pair.prompt) == (1, START)
    assert (pair.chosen, pair.rejected) == (" like this", " no\n\nnot at all")


@pytest.mark.parametrize(
    "chosen, rejected, reason",
    [
        (START + " a", START.replace("hello", "hullo") + " b", "part before their last answer"),
        (START + " a\n\nHuman: b", START + " c", "not the assistant's"),
        (START + " a", START + " ", "an answer is empty"),
        ("\n\nAssistant: a", "\n\nAssistant: b", "nothing is said before"),
    ],
)
def test_transcripts_that_are_no_pair_are_dropped_with_row_and_reason(
    tmp_path, chosen, rejected, reason
):
    path = transcripts(tmp_path, (START + " yes", START + " no"), (chosen, rejected))
    reading = format.read("pairs", "hh-rlhf", path, {})
    assert [pair.row for pair in reading.items] == [1]
    (dropped,) = reading.dropped
    assert dropped.row == 2 and reason in dropped.reason


def test_transcripts_with_the_line_ends_of_windows_are_those_without(tmp_path):
    sides = (START + " yes\n\nAssistant: a", START + " no\n\nAssistant: b")
    plain = format.read("pairs", "hh-rlhf", transcripts(tmp_path, sides), {}).items
    theirs = [side.replace("\n", "\r\n") for side in sides]
    assert format.read("pairs", "hh-rlhf", transcripts(tmp_path, theirs), {}).items == plain


def test_a_transcript_that_begins_with_no_turn_is_refused_with_its_row(tmp_path):
    path = transcripts(tmp_path, (START + " a", START + " b"), ("Human: a", START + " b"))
    with pytest.raises(UserError, match="'chosen' does not begin with a turn: row 2") as caught:
        format.read("pairs", "hh-rlhf", path, {})
    assert "two line breaks and `Human:` or `Assistant:`" in caught.value.error


def test_compressed_transcripts_as_the_hub_holds_them_are_read(tmp_path):
    path = tmp_path / "train.jsonl.gz"
    row = {"chosen": START + " a", "rejected": START + " b"}
    path.write_bytes(gzip.compress(json.dumps(row).encode()))
    assert len(format.read("pairs", "hh-rlhf", path, {}).items) == 1


@pytest.mark.parametrize("explicit", [True, False])
def test_messages_give_the_pair_that_their_transcripts_would(tmp_path, explicit):
    answers = {"chosen": [said("assistant", "a")], "rejected": [said("assistant", "b")]}
    row = (
        {"prompt": ASKED, **answers}
        if explicit
        else {"prompt": "hi there", **{side: ASKED + last for side, last in answers.items()}}
    )
    path = written(tmp_path / "rows.jsonl", [row])
    (pair,) = format.read("pairs", "messages", path, {}).items
    assert (pair.prompt, pair.chosen, pair.rejected) == (START, " a", " b")


def test_thoughts_beside_what_is_said_are_named(tmp_path):
    rows = [
        {
            side: [said("user", f"so {n}"), said("assistant", side) | {"reasoning_content": "hm"}]
            for side in ("chosen", "rejected")
        }
        for n in range(2)
    ]
    found = format.read("pairs", "messages", written(tmp_path / "pairs.jsonl", rows), {})
    assert found.notes == (
        "of messages nothing reads 'reasoning_content' (rows 1, 2): put it into their content if "
        "it is to be learned",
    )


def test_markers_of_turns_can_be_chosen(tmp_path):
    row = {
        "prompt": [said("system", "be kind"), said("user", "hi")],
        "chosen": [said("assistant", "a")],
        "rejected": [said("assistant", "b")],
    }
    options = {"system": "<s>", "user": "<u>", "assistant": "<a>"}
    path = written(tmp_path / "rows.jsonl", [row])
    (pair,) = format.read("pairs", "messages", path, options).items
    assert (pair.prompt, pair.chosen) == ("<s> be kind<u> hi<a>", " a")


def test_malformed_messages_are_all_named_by_row(tmp_path):
    good = {
        "chosen": [*ASKED, said("assistant", "a")],
        "rejected": [*ASKED, said("assistant", "b")],
    }
    rows = [
        good,
        {**good, "chosen": ["a"]},
        {**good, "rejected": [said("wizard", "a")]},
        {**good, "prompt": [{"role": "user"}]},
    ]
    with pytest.raises(UserError) as caught:
        format.read("pairs", "messages", written(tmp_path / "rows.jsonl", rows), {})
    assert caught.value.error == (
        "'chosen' is not a list of {role, content}: row 2; "
        "'rejected' has a role 'wizard' (allowed: system, user, assistant): row 3; "
        "'prompt' is not a list of {role, content}: row 4"
    )


def test_dialogues_to_measure_on_are_turns_and_share_no_prompt_with_pairs(tmp_path):
    rows = [(f"\n\nHuman: ask {n}\n\nAssistant: yes", f"\n\nHuman: ask {n}\n\nAssistant: no")
            for n in range(60)]  # fmt: skip
    path = transcripts(tmp_path, *rows)
    pairs = format.read("pairs", "hh-rlhf", path, {"held_out": 0.3}).items
    prompts = format.read("prompts", "hh-rlhf", path, {"held_out": 0.3}).items
    assert pairs and prompts and len(pairs) + len(prompts) == 60
    assert not {pair.prompt for pair in pairs} & {prompt.source for prompt in prompts}
    segments = prompts[0].segments
    assert [each.role for each in segments] == ["user", "assistant"]
    assert segments[0].text == prompts[0].source and segments[1].text == " yes"


def test_turns_of_a_dialogue_join_to_the_transcript(tmp_path):
    path = transcripts(tmp_path, (START + " yes", START + " no"))
    (prompt,) = format.read("prompts", "hh-rlhf", path, {}).items
    assert "".join(segment.text for segment in prompt.segments) == START + " yes"


def shards(tmp_path):
    """A data set in the hub's layout: two shards of train, one of test."""
    numbers = {
        "train-00000-of-00002": [0, 1],
        "train-00001-of-00002": [2],
        "test-00000-of-00001": [3],
    }
    (tmp_path / "set" / "data").mkdir(parents=True)
    for name, inside in numbers.items():
        rows = [{"prompt": f"p{n}", "chosen": " a", "rejected": " b"} for n in inside]
        table = pyarrow.Table.from_pylist(rows)
        pyarrow.parquet.write_table(table, tmp_path / "set" / "data" / f"{name}.parquet")
    return tmp_path / "set"


def test_a_message_that_says_nothing_is_told_from_what_is_no_message(tmp_path):
    rows = [{"chosen": [*ASKED, said("assistant", None)], "rejected": [said("assistant", "b")]}]
    with pytest.raises(UserError, match="'chosen' has a message without content: row 1"):
        format.read("pairs", "messages", written(tmp_path / "a.jsonl", rows), {})


def test_a_split_of_a_data_set_in_the_hubs_layout_is_read_shard_after_shard(tmp_path):
    path = shards(tmp_path)
    found = format.read("pairs", "prompt-chosen-rejected", path, {"split": "train"}).items
    assert [(pair.row, pair.prompt) for pair in found] == [(1, "p0"), (2, "p1"), (3, "p2")]


def test_messages_in_parquet_are_read(tmp_path):
    sides = {side: [[*ASKED, said("assistant", side)]] for side in ("chosen", "rejected")}
    (tmp_path / "train").mkdir()
    pyarrow.parquet.write_table(pyarrow.table(sides), tmp_path / "train" / "0000.parquet")
    (pair,) = format.read("pairs", "messages", tmp_path, {"split": "train"}).items
    assert (pair.prompt, pair.chosen) == (START, " chosen")


@pytest.mark.parametrize(
    "options, fault", [({}, "it holds several splits"), ({"split": "trian"}, "unknown split")]
)
def test_a_data_set_of_several_splits_needs_the_name_of_one(tmp_path, options, fault):
    with pytest.raises(UserError, match=fault) as caught:
        format.read("pairs", "prompt-chosen-rejected", shards(tmp_path), options)
    assert caught.value.allowed == ["test", "train"]


def test_a_split_of_a_single_file_is_refused(tmp_path):
    path = transcripts(tmp_path, (START + " a", START + " b"))
    with pytest.raises(UserError, match="only a folder has splits"):
        format.read("pairs", "hh-rlhf", path, {"split": "train"})


def test_rows_that_are_whole_and_give_nothing_are_told_while_a_study_is_planned(tmp_path):
    useless = [(START + " a\n\nHuman: b", START + " c")] * 23
    path = transcripts(tmp_path, *useless, (START + " yes", START + " no"))
    kind = Pairs()
    (note,) = kind.notes(kind.Params(source=str(path), format="hh-rlhf"), {})
    assert "23 of 24 rows are whole, but give nothing" in note and "not the assistant's" in note


def test_pairs_that_are_equal_or_repeated_are_told_while_a_study_is_planned(tmp_path):
    path = transcripts(tmp_path, *[(START + " yes", START + " no")] * 3, (START + " a",) * 2)
    kind = Pairs()
    (note,) = kind.notes(kind.Params(source=str(path), format="hh-rlhf"), {})
    assert "3 of 4 rows are whole" in note
    assert "stands there twice: rows 2, 3" in note and "are equal: row 4" in note
