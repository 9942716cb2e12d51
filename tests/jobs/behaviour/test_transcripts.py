"""Transcripts as prompts: transformed turn by turn, measured at every turn."""

import json

import pytest

from jobs.text.transform import load_transform

ASKED = ("how are you", "and your friend")
ANSWERED = ("fine so far", "he is away")


@pytest.fixture
def transcripts(tmp_path):
    def speak(answer):
        turns = zip(ASKED, (ANSWERED[0], answer), strict=True)
        return "".join(f"\n\nHuman: {asked}\n\nAssistant: {said}" for asked, said in turns)

    path = tmp_path / "rows.jsonl"
    row = {"chosen": speak(ANSWERED[1]), "rejected": speak("go away")}
    path.write_text(json.dumps(row) + "\n")
    return path


def segments(root, source, transform):
    params = {
        "format": "hh-rlhf",
        "source": str(source),
        "transform": transform,
        "positions": ["turn", "last"],
    }
    (line,) = root.done("prompts", params).read("prompts.jsonl").decode().splitlines()
    return [segment["text"] for segment in json.loads(line)["segments"]]


@pytest.mark.parametrize("name", ["plain", "rot13", "base64", "prefix-injection", "few-shot"])
def test_words_of_every_turn_are_transformed_and_marks_stay(root, transcripts, name):
    transform = load_transform(name)
    found = segments(root, transcripts, name)
    asked = [found[0].removeprefix("\n\nHuman: "), found[2].removeprefix("\n\nHuman: ")]
    assert [transform.invert(text.removesuffix("\n\nAssistant:")) for text in asked] == [*ASKED]
    assert all(text.endswith("\n\nAssistant:") for text in asked)
    answers = [transform.apply_to_answer(text, 0) for text in ANSWERED]
    assert [found[1], found[3]] == [f" {text}" for text in answers]
