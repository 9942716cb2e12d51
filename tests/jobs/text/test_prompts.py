import base64
import codecs
import json

import pytest

from cluster.errors import UserError
from jobs.kinds.pairs import Pairs
from jobs.kinds.prompts import Prompts
from jobs.text.prompt_lines import prompt_line
from jobs.text.reading import Prompt, Segment
from jobs.text.source_check import read_source
from jobs.text.transform import load_transform

prompts = Prompts()

SIDES = ("chosen", "rejected")
NURSERY = {"format": "nursery", "options": {"num_prompts": 60}}


def lines(artifact):
    return [json.loads(line) for line in artifact.read("prompts.jsonl").decode().splitlines()]


def text(prompt):
    return "".join(segment["text"] for segment in prompt["segments"])


def test_a_transform_changes_the_text_and_neither_ids_nor_groups(root):
    plain = lines(root.done("prompts", NURSERY))
    coded = lines(root.done("prompts", {**NURSERY, "transform": "rot13"}))
    assert [codecs.decode(text(prompt), "rot13") for prompt in coded] == [
        text(prompt) for prompt in plain
    ]
    assert [(p["prompt"], p["group"]) for p in plain] == [(p["prompt"], p["group"]) for p in coded]
    assert len({prompt["group"] for prompt in plain}) > 10


def test_nursery_segments_in_base64_join_to_the_base64_of_the_whole(root):
    plain = lines(root.done("prompts", NURSERY))
    coded = lines(root.done("prompts", {**NURSERY, "transform": "base64"}))
    for before, after in zip(plain, coded, strict=True):
        assert text(after) == base64.b64encode(text(before).encode()).decode()


def test_facts_say_transform_and_positions(root):
    artifact = root.done("prompts", {**NURSERY, "transform": "rot13", "positions": ["last"]})
    assert artifact.facts["transform"] == "rot13"
    assert artifact.facts["positions"] == ["last"]
    assert artifact.facts["num_prompts"] == 60


def test_combined_transforms_keep_their_name(root):
    plain = lines(root.done("prompts", NURSERY))
    artifact = root.done("prompts", {**NURSERY, "transform": "rot13+base64"})
    assert artifact.facts["transform"] == "rot13+base64"
    for before, after in zip(plain, lines(artifact), strict=True):
        decoded = base64.b64decode(text(after)).decode()
        assert codecs.decode(decoded, "rot13") == text(before)


def test_words_around_a_request_leave_its_answer_alone(root):
    plain = lines(root.done("prompts", NURSERY))
    wrapped = lines(root.done("prompts", {**NURSERY, "transform": "few-shot"}))
    for before, after in zip(plain, wrapped, strict=True):
        (asked, answer), (framed, same) = before["segments"], after["segments"]
        assert same == answer
        assert asked["text"] in framed["text"] and len(framed["text"]) > len(asked["text"])
    assert len({prompt["segments"][0]["text"][:80] for prompt in wrapped}) > 3


def test_marks_of_a_transcript_are_not_transformed():
    asked = "\n\nHuman: go on\n\nAssistant:"
    start = asked.index("go on")
    said = (
        Segment(role="user", text=asked, payload=(start, start + len("go on"))),
        Segment(role="assistant", text=" no"),
    )
    prompt = Prompt(row=1, source=asked, segments=said)
    coded, wrapped = (
        prompt_line(0, prompt, load_transform(name), 0)["segments"][0]["text"]
        for name in ("rot13", "prefix-injection")
    )
    assert coded == "\n\nHuman: tb ba\n\nAssistant:"
    assert wrapped.startswith("\n\nHuman: go on\n") and wrapped.endswith(".\n\nAssistant:")


def test_the_same_words_out_of_order_stand_beside_every_prompt(root):
    artifact = root.done("prompts", {**NURSERY, "transform": "rot13"})
    ordered = lines(artifact)
    shuffled = [json.loads(line) for line in artifact.read("shuffled.jsonl").decode().splitlines()]
    assert [(p["prompt"], p["group"]) for p in ordered] == [
        (p["prompt"], p["group"]) for p in shuffled
    ]
    for one, other in zip(ordered, shuffled, strict=True):
        for segment, mixed in zip(one["segments"], other["segments"], strict=True):
            assert sorted(segment["text"].split()) == sorted(mixed["text"].split())
    assert sum(text(one) != text(other) for one, other in zip(ordered, shuffled, strict=True)) > 50


def test_dialogues_alternate_and_end_with_the_assistant(root):
    options = {"contexts": "dialogue", "num_prompts": 5, "num_turns": 3}
    found = lines(
        root.done("prompts", {"format": "nursery", "options": options, "positions": ["turn"]})
    )
    for prompt in found:
        assert [each["role"] for each in prompt["segments"]] == ["user", "assistant"] * 3


def test_a_larger_sample_holds_the_smaller_one(root, tmp_path):
    source = tmp_path / "prompts.txt"
    source.write_text("".join(f"say number {number}\n" for number in range(50)))
    base = {"format": "realtoxicityprompts", "source": str(source), "positions": ["last"]}
    few = {text(prompt) for prompt in lines(root.done("prompts", {**base, "max_prompts": 10}))}
    more = {text(prompt) for prompt in lines(root.done("prompts", {**base, "max_prompts": 20}))}
    assert len(few) == 10 and few < more


def test_sources_are_joined_and_what_is_left_out_is_listed(root, tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("one two\n\none two three four\n")
    second.write_text("one two\nfive\n")
    params = {
        "format": "realtoxicityprompts",
        "source": [str(first), str(second)],
        "positions": ["last"],
        "max_words": 3,
    }
    artifact = root.done("prompts", params)
    assert [text(prompt) for prompt in lines(artifact)] == ["one two", "five"]
    assert json.loads(artifact.read("report.json"))["dropped"] == {
        "blank line": {"count": 1, "rows": [2]},
        "more than 3 words": {"count": 1, "rows": [3]},
        "its prompt stands there twice": {"count": 1, "rows": [1]},
    }


@pytest.mark.parametrize("position", ["response", "response-128", "response-depths", "turn"])
def test_a_position_that_no_prompt_has_is_refused(root, tmp_path, position):
    source = tmp_path / "prompts.txt"
    source.write_text("one two\n")
    params = {"format": "realtoxicityprompts", "source": str(source), "positions": [position]}
    answer, _ = root.run("prompts", params)
    assert answer["state"] == "failed" and answer["error"]["code"] == "user_mistake"
    assert f"position '{position}' needs" in answer["error"]["message"]
    with pytest.raises(UserError, match=f"position '{position}' needs"):  # before anything runs
        prompts.pins(Prompts.Params(**params), {})


def test_prompts_of_which_none_is_left_are_refused_while_planning(tmp_path):
    source = tmp_path / "prompts.txt"
    source.write_text("one two\n")
    params = {"format": "realtoxicityprompts", "source": str(source), "positions": ["last"]}
    with pytest.raises(UserError, match="no prompt is left"):
        prompts.pins(Prompts.Params(**params, max_words=1), {})
    prompts.pins(Prompts.Params(**params), {})


def test_an_unknown_transform_names_the_nearest_while_planning():
    with pytest.raises(UserError, match="did you mean 'rot13'"):
        prompts.pins(prompts.Params(format="nursery", transform="rot31"), {})
    with pytest.raises(UserError, match="did you mean 'few-shot'"):
        prompts.pins(prompts.Params(format="nursery", transform="rot13+few-shots"), {})


def test_an_unknown_option_names_the_nearest_while_planning():
    with pytest.raises(UserError, match="did you mean 'num_prompts'"):
        prompts.pins(prompts.Params(format="nursery", options={"num_prompt": 3}), {})


@pytest.mark.parametrize("contexts", ["provoking", "dialogue"])
def test_the_other_answer_of_a_pair_stands_behind_the_same_prompt(root, contexts):
    params = {"format": "nursery", "options": {"num_prompts": 60, "contexts": contexts}}
    sides = [lines(root.done("prompts", {**params, "answer": side})) for side in SIDES]
    assert lines(root.done("prompts", params)) == sides[0]
    for chosen, rejected in zip(*sides, strict=True):
        assert (chosen["prompt"], chosen["group"]) == (rejected["prompt"], rejected["group"])
        assert chosen["segments"][:-1] == rejected["segments"][:-1]
        assert chosen["segments"][-1]["role"] == rejected["segments"][-1]["role"]
        assert chosen["segments"][-1]["text"] != rejected["segments"][-1]["text"]


def test_answers_that_begin_replies_are_of_pairs_that_are_held_out(root, tmp_path):
    rows = [
        {"prompt": f"Say {n}", "chosen": f" no {n}", "rejected": f" yes {n}"} for n in range(80)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    params = {"format": "prompt-chosen-rejected", "source": str(file), "options": {"held_out": 0.5}}
    measured = lines(root.done("prompts", {**params, "answer": "rejected"}))
    trained = {pair.prompt for pair in Pairs()._read(Pairs.Params(**params)).items}
    assert measured and trained.isdisjoint(line["segments"][0]["text"] for line in measured)
    assert all(line["segments"][1]["text"].startswith(" yes") for line in measured)


def test_a_format_without_pairs_is_refused_when_a_study_is_planned(tmp_path):
    file = tmp_path / "asked.jsonl"
    file.write_text('{"prompt": "a", "answer": " b"}\n')
    params = Prompts.Params(format="prompt-answer", source=str(file), answer="rejected")
    with pytest.raises(UserError, match="come from pairs") as refusal:
        prompts.pins(params, {})
    assert {"nursery", "paradetox", "pplm", "messages"} <= set(refusal.value.allowed)
    assert "prompt-answer" not in refusal.value.allowed


@pytest.fixture
def readings(monkeypatch):
    """How often a source is read, beside the check of it."""
    counted = []

    def read(*asked):
        counted.append(asked)
        return read_source(*asked)

    monkeypatch.setattr("jobs.kinds.prompts.read_source", read)
    return counted


def test_a_plan_reads_prompts_once_for_all_that_it_says_of_them(tmp_path, readings):
    rows = [{"text": f"{number} " + "сосед " * 40} for number in range(30)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    params = {"format": "text", "source": str(tmp_path / "rows.jsonl"), "positions": ["last"]}
    given = prompts.Params(**params, transform="rot13", max_prompts=3)
    for _ in range(3):
        prompts.pins(given, {})
        (note,) = prompts.notes(given, {})
        assert prompts.knows_toxic_words(given) is False
    assert note.startswith("rot13 leaves 3 of 3 prompts as they are, which")  # of the sample
    assert len(readings) == 1
