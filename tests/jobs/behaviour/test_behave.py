"""Behaviour of random nursery models against plain recomputation without batches or padding."""

import json
import math

import numpy as np
import pytest

from analysis.long_table.files import from_parquet
from jobs.text.nursery.language import the_language
from jobs.text.nursery.vocabulary import in_register, train_tokenizer

FEW = {"toxic_words": "prompts", "new_tokens": 5, "token_budget": 200}


@pytest.fixture(scope="module")
def model(nursery_model):
    return nursery_model(num_layers=2)


@pytest.fixture
def inputs(root, model):
    def make(**params):
        options = {"num_prompts": 40, **params.pop("options", {})}
        prompts = root.done("prompts", {"format": "nursery", "options": options, **params})
        return {"model": root.model("model", model, train_tokenizer()), "prompts": prompts}

    return make


def rows(artifact):
    return from_parquet(artifact.read("measurements.parquet")).to_pylist()


def row(artifact, metric, position):
    (found,) = [
        each for each in rows(artifact) if (each["metric"], each["position"]) == (metric, position)
    ]
    return found


def unanswered(root, folder, text):
    """Prompts, one a line, that have no answers and know no toxic words."""
    source = folder / "prompts.txt"
    source.write_text(text)
    params = {"format": "realtoxicityprompts", "source": str(source), "positions": ["last"]}
    return root.done("prompts", params)


def prompts_of(artifact):
    return [json.loads(line) for line in artifact.read("prompts.jsonl").decode().splitlines()]


def ids(text):
    return train_tokenizer()(text)["input_ids"]


def log_probabilities(model, token_ids):
    import torch

    with torch.no_grad():
        return model(torch.tensor([token_ids])).logits[0].double().log_softmax(-1).numpy()


@pytest.mark.parametrize("register", ["plain", "rot13", "base64"])
def test_toxic_mass_is_the_probability_of_toxic_words_after_the_prompt(
    root, model, inputs, register
):
    given = inputs(transform=register)
    found = row(root.done("behave", FEW, **given), "toxic_mass", "last")
    words = [f"{word} " for word in the_language().toxic]
    toxic = [ids(form)[0] for word in words for form in {word, in_register(word, register)}]
    masses = []
    for prompt in prompts_of(given["prompts"]):
        after = log_probabilities(model, ids(prompt["segments"][0]["text"]))[-1]
        masses.append(np.exp(after[toxic]).sum())
    assert found["value"] == pytest.approx(np.mean(masses), abs=1e-6)
    assert found["low"] < found["value"] < found["high"]
    assert (found["num_rows"], found["status"], found["reason"]) == (40, "ok", None)


def test_perplexity_is_that_of_the_answers_only(root, model, inputs):
    given = inputs()
    found = row(root.done("behave", FEW, **given), "perplexity", "response")
    nats = []
    for prompt in prompts_of(given["prompts"]):
        asked, answered = (ids(segment["text"]) for segment in prompt["segments"])
        scores = log_probabilities(model, asked + answered)
        nats += [-scores[len(asked) + i - 1, token] for i, token in enumerate(answered)]
    assert found["value"] == pytest.approx(math.exp(np.mean(nats)), rel=1e-5)
    assert found["num_rows"] == len(nats)


def test_toxic_rate_counts_prompts_with_any_toxic_word_in_the_greedy_continuation(
    root, model, inputs
):
    given = inputs()
    artifact = root.done("behave", FEW, **given)
    found = row(artifact, "toxic_rate", "response")
    toxic = {ids(f"{word} ")[0] for word in the_language().toxic}
    said = continuations(artifact)
    for prompt in prompts_of(given["prompts"]):
        token_ids = ids(prompt["segments"][0]["text"])
        start = len(token_ids)
        for _ in range(FEW["new_tokens"]):
            token_ids.append(int(log_probabilities(model, token_ids)[-1].argmax()))
            if token_ids[-1] == train_tokenizer().eos_token_id:
                token_ids.pop()
                break
        assert said[prompt["prompt"]] == token_ids[start:]
    assert found["value"] == np.mean([not toxic.isdisjoint(each) for each in said.values()])


def continuations(artifact):
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(artifact.path("continuations.parquet")).to_pylist()
    return {each["prompt"]: each["token_ids"] for each in table}


def test_dialogues_have_a_toxic_mass_at_every_turn(root, inputs):
    given = inputs(options={"contexts": "dialogue", "num_turns": 3}, positions=["turn"])
    artifact = root.done("behave", FEW, **given)
    places = [each["position"] for each in rows(artifact) if each["metric"] == "toxic_mass"]
    assert sorted(places) == ["last", "turn-1", "turn-2", "turn-3"]
    last, third = (row(artifact, "toxic_mass", place) for place in ("last", "turn-3"))
    assert last["value"] == third["value"]


def test_batches_and_padding_change_nothing(root, inputs):
    given = inputs()
    one = root.done("behave", {**FEW, "token_budget": 1}, **given)
    all_at_once = root.done("behave", {**FEW, "token_budget": 100_000}, **given)
    assert continuations(one) == continuations(all_at_once)
    for alone, together in zip(rows(one), rows(all_at_once), strict=True):
        assert alone["value"] == pytest.approx(together["value"], rel=1e-5)


def test_words_come_from_the_lexicon_where_the_params_say_so(root, inputs):
    given = inputs()
    lexicon = root.done("pairs", {"format": "nursery", "options": {"num_pairs": 10}})
    by_pairs = root.done("behave", {"new_tokens": 3}, **given, lexicon=lexicon)
    by_prompts = root.done("behave", {"new_tokens": 3, "toxic_words": "prompts"}, **given)
    assert rows(by_pairs) == rows(by_prompts)


def test_few_groups_give_a_value_without_an_interval(root, inputs):
    found = row(
        root.done("behave", FEW, **inputs(options={"num_prompts": 3})), "toxic_mass", "last"
    )
    assert found["status"] == "too_few_groups"
    assert found["value"] is not None and found["low"] is None


def test_prompts_without_answers_have_no_perplexity_and_say_so(root, inputs, tmp_path):
    words = "".join(f"{word} \n" for word in the_language().words)
    given = {**inputs(), "prompts": unanswered(root, tmp_path, words)}
    found = row(root.done("behave", {"metrics": ["perplexity"]}, **given), "perplexity", "response")
    assert (found["value"], found["status"]) == (None, "undefined")
    assert found["reason"] == "no prompt has an answer"


def test_prompts_that_know_no_toxic_words_cannot_be_asked_for_them(root, inputs, tmp_path):
    prompts = unanswered(root, tmp_path, "one two\n")
    answer, _ = root.run("behave", FEW, **{**inputs(), "prompts": prompts})
    assert (
        answer["error"]["code"] == "user_mistake"
        and "knows no toxic words" in answer["error"]["message"]
    )


def test_prompts_too_long_for_model_and_continuation_are_left_out_and_counted(root, inputs):
    given = inputs()
    lengths = [
        sum(len(ids(segment["text"])) for segment in prompt["segments"])
        for prompt in prompts_of(given["prompts"])
    ]
    artifact = root.done("behave", {**FEW, "max_length": min(lengths)}, **given)
    assert artifact.facts["num_prompts"] == lengths.count(min(lengths))
    assert artifact.facts["num_too_long"] == len(lengths) - lengths.count(min(lengths))


def test_prompts_are_cut_before_their_length_is_judged(root, inputs):
    given = inputs()
    cut = {**FEW, "max_length": 3, "prompt_tokens": 2, "answer_tokens": 1}
    facts = root.done("behave", cut, **given).facts
    assert facts["num_prompts"] == len(prompts_of(given["prompts"]))
    assert facts["num_too_long"] == 0


def test_token_f1_is_that_of_the_tokens_said_against_those_of_the_answer(root, inputs, tmp_path):
    given = inputs()
    first = continuations(root.done("behave", {**FEW, "metrics": ["toxic_rate"]}, **given))
    likely = train_tokenizer().decode([token for each in first.values() for token in each[:2]][:3])
    rows_of_it = [
        {"prompt": prompt["segments"][0]["text"], "chosen": likely, "rejected": "x"}
        for prompt in prompts_of(given["prompts"])
    ]
    source = tmp_path / "pairs.jsonl"
    source.write_text("".join(json.dumps(each) + "\n" for each in rows_of_it))
    params = {"format": "prompt-chosen-rejected", "source": str(source)}
    given = {**given, "prompts": root.done("prompts", params)}
    artifact = root.done("behave", {**FEW, "metrics": ["token_f1", "word_f1"]}, **given)
    said = continuations(artifact)
    plain, legacy, words = [], [], []
    for prompt in prompts_of(given["prompts"]):
        asked, answered = (ids(segment["text"]) for segment in prompt["segments"])
        texts = [train_tokenizer().decode(each) for each in (said[prompt["prompt"]], answered)]
        for scores, spoken, reference in (
            (plain, said[prompt["prompt"]], answered),
            (legacy, [*asked, *said[prompt["prompt"]]], answered),
            (words, *(text.split() for text in texts)),
        ):
            shared = sum(min(spoken.count(token), reference.count(token)) for token in set(spoken))
            precision, recall = shared / max(1, len(spoken)), shared / len(reference)
            both = precision + recall
            scores.append(2 * precision * recall / both if both else 0.0)
    found = row(artifact, "token_f1", "response")
    assert found["value"] == pytest.approx(np.mean(plain)) and 0 < found["value"] < 1
    assert found["low"] <= found["value"] <= found["high"]
    assert row(artifact, "word_f1", "response")["value"] == pytest.approx(np.mean(words))
    whole = row(artifact, "token_f1_legacy", "response")
    assert (
        whole["value"] == pytest.approx(np.mean(legacy)) and "prompt before" in whole["definition"]
    )


def test_prompts_without_answers_have_no_token_f1_and_say_so(root, inputs, tmp_path):
    words = "".join(f"{word} \n" for word in the_language().words)
    given = {**inputs(), "prompts": unanswered(root, tmp_path, words)}
    artifact = root.done("behave", {"metrics": ["token_f1"]}, **given)
    found = row(artifact, "token_f1", "response")
    assert (found["value"], found["reason"]) == (None, "no prompt has an answer")


def test_a_classifier_judges_what_a_model_says_and_the_row_says_which(root, inputs, tmp_path):
    import torch
    from transformers import GPT2Config, GPT2ForSequenceClassification

    torch.manual_seed(0)
    config = GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=len(train_tokenizer()))
    config.id2label = {0: "clean", 1: "toxic"}
    config.bos_token_id = config.eos_token_id = config.pad_token_id = 0
    classifier = GPT2ForSequenceClassification(config).eval()
    classifier.score.weight.data.mul_(100)
    folder = tmp_path / "toxicity-of-mine"
    classifier.save_pretrained(folder)
    train_tokenizer().save_pretrained(folder)
    scorer = {"name": "hf-classifier", "model": str(folder), "threshold": 0.05}
    metrics = ["toxic_rate", "toxic_score"]
    artifact = root.done("behave", {**FEW, "metrics": metrics, "scorer": scorer}, **inputs())
    alone = []
    for token_ids in continuations(artifact).values():
        text = train_tokenizer().decode(token_ids, skip_special_tokens=True)
        again = torch.tensor([train_tokenizer()(text)["input_ids"]])
        with torch.no_grad():
            alone.append(float(classifier(again).logits[0].softmax(-1)[1]))
    rate, score = (row(artifact, metric, "response") for metric in metrics)
    assert score["value"] == pytest.approx(np.mean(alone), abs=1e-4)
    assert rate["value"] == np.mean(np.array(alone) >= 0.05) and 0 < rate["value"] < 1
    assert "'toxic' from hf-classifier toxicity-of-mine" in rate["definition"]
    assert str(tmp_path) not in rate["definition"]
    assert not [name for name in artifact.record.files if "scorer" in name]
