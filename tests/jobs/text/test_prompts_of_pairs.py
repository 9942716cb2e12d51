"""Prompts of pairs that a job left: held out of training, with either answer behind them."""

import json

import pytest

from cluster.errors import UserError
from jobs.kinds.pairs import Pairs
from jobs.kinds.prompts_of_pairs import PromptsOfPairs
from jobs.text.prompt_lines import PROMPTS, SHUFFLED
from jobs.tokens.begun_replies import notes_on_prefill
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import parse_study
from tests.jobs.measuring.test_few_prompts import upstream

KIND = PromptsOfPairs()


@pytest.fixture
def pairs(root, tmp_path):
    rows = [
        {"prompt": f"Say {n // 2}", "chosen": f" no {n}", "rejected": f" yes {n}"}
        for n in range(160)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    held_out = {"validation_fraction": 0.2, "test_fraction": 0.1}
    return root.done("pairs", {"format": "prompt-chosen-rejected", "source": str(file), **held_out})


def lines(artifact, name=PROMPTS):
    return [json.loads(line) for line in artifact.read(name).decode().splitlines()]


def test_they_are_those_that_no_model_was_trained_on_once_each(root, pairs):
    sides = {
        side: lines(root.done("prompts-of-pairs", {"answer": side}, pairs=pairs))
        for side in ("chosen", "rejected")
    }
    split = Pairs.Params(
        format="prompt-chosen-rejected", source="x", validation_fraction=0.2, test_fraction=0.1
    ).split_of
    asked = [line["segments"][0]["text"] for line in sides["rejected"]]
    expected = [f"Say {n}" for n in range(80) if split(f"Say {n}").value != "train"]
    assert asked == expected and 10 < len(asked) < 40
    for chosen, rejected in zip(sides["chosen"], sides["rejected"], strict=True):
        assert (chosen["prompt"], chosen["group"]) == (rejected["prompt"], rejected["group"])
        number = 2 * int(chosen["segments"][0]["text"].split()[1])
        texts = [each["segments"][1]["text"] for each in (chosen, rejected)]
        assert texts == [f" no {number}", f" yes {number}"]


def test_facts_words_and_shuffled_lines_are_as_of_any_prompts(root, pairs):
    params = {"answer": "rejected", "transform": "rot13", "positions": ["response-0"]}
    artifact = root.done("prompts-of-pairs", {**params, "max_prompts": 5}, pairs=pairs)
    facts = artifact.record.facts
    assert facts["num_prompts"] == 5 and facts["num_not_sampled"] > 0
    assert {name: facts[name] for name in params} == params
    assert artifact.read("toxic.json") == pairs.read("toxic.json")
    assert all(line["segments"][0]["text"].startswith("Fnl ") for line in lines(artifact))
    assert len(lines(artifact, SHUFFLED)) == 5


@pytest.fixture
def talks(root, tmp_path):
    def rows(n):
        asked = [("user", f"Who is {n}?"), ("assistant", "A driver."), ("user", "Is he calm?")]
        turns = [{"role": role, "content": text} for role, text in asked]
        answers = {"chosen": "He is.", "rejected": "Not he."}
        return {
            side: [*turns, {"role": "assistant", "content": text}] for side, text in answers.items()
        }

    file = tmp_path / "talks.jsonl"
    file.write_text("".join(json.dumps(rows(n)) + "\n" for n in range(60)))
    return {"format": "messages", "source": str(file)}


def test_of_dialogues_they_are_the_turns_that_prompts_of_the_same_source_are(root, talks):
    pairs = root.done("pairs", {**talks, "validation_fraction": 0.3})
    for side in ("chosen", "rejected"):
        params = {"answer": side, "transform": "rot13"}
        found = lines(root.done("prompts-of-pairs", params, pairs=pairs))
        same = {"".join(s["text"] for s in line["segments"]): line for line in found}
        for line in lines(root.done("prompts", {**talks, **params})):
            text = "".join(segment["text"] for segment in line["segments"])
            if text in same:
                assert same.pop(text)["segments"] == line["segments"]
        assert found and not same
        assert [part["role"] for part in found[0]["segments"]] == [*["user", "assistant"] * 2]


def test_pairs_that_are_all_trained_on_leave_none(root, tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "a", "chosen": " b", "rejected": " c"}\n')
    params = {"format": "prompt-chosen-rejected", "source": str(file), "validation_fraction": 0}
    pairs = root.done("pairs", params)
    answer, _ = root.run("prompts-of-pairs", {"answer": "rejected"}, pairs=pairs)
    assert answer["state"] == "failed"
    assert "all of the 1 pairs are to train on" in answer["error"]["message"]


def test_turns_are_refused_when_a_study_is_planned():
    with pytest.raises(UserError, match="'turn' needs dialogues"):
        KIND.pins(KIND.Params(answer="chosen", positions=["turn"]), {})


STUDY = """\
study: s
stages:
  base: {kind: pretrain, params: {format: nursery, steps: 1,
         config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1}}}
  texts: {kind: prompts, params: {format: nursery}}
  words: {kind: pairs, params: {format: nursery}}
  own: {kind: generated-pairs, inputs: {model: base, prompts: texts, lexicon: words}}
  asked: {kind: prompts-of-pairs, inputs: {pairs: own}, params: {answer: rejected}}
  begun: {kind: behave, inputs: {model: base, prompts: asked}, params: {prefill: 4,
          toxic_words: prompts}}
"""


def test_a_reply_may_be_begun_with_what_a_model_wrote(tmp_path):
    jobs = {job.stage: job for job in make_plan(parse_study(STUDY)).jobs}
    assert jobs["begun"].inputs["prompts"][0].key == jobs["asked"].key
    from jobs.text.planned import Planned

    asked = upstream("prompts-of-pairs", {"answer": "rejected"})
    assert notes_on_prefill(4, asked, Planned(), None) == ()
