"""What `behave` and `intervene` report of words of several tokens, against texts read alone."""

import copy
import json

import numpy as np
import pytest
import torch

from analysis.long_table.files import from_parquet
from tests.jobs.words.texts import pieces

TEXT = "the alder grew by the water, and alders are no elders; Alder said so, yews! " * 3
WORDS = ["alder", "yews", "greenish", "elders"]
SHARE = 1e-3


@pytest.fixture
def inputs(root, tiny_model):
    """A base, the same with a bias behind its middle block, prompts, and words."""
    tokenizer = pieces(TEXT, 290)
    base = tiny_model("gpt2", vocab_size=len(tokenizer), num_layers=3, max_positions=48).eval()
    with torch.no_grad():
        for weight in base.parameters():
            weight.mul_(4 if weight.ndim > 1 else 1)
    aligned = copy.deepcopy(base)
    with torch.no_grad():
        aligned.transformer.h[1].mlp.c_proj.bias.add_(torch.linspace(-2, 2, 16))
    draw = np.random.default_rng(2)
    texts = [
        "".join(f" {word}" for word in draw.choice(["alder", "no", "grew"], 3)) for _ in range(40)
    ]
    prompts = [
        {"prompt": n, "group": n % 20, "segments": [{"role": "prompt", "text": text}]}
        for n, text in enumerate(texts)
    ]
    words = json.dumps({"words": WORDS, "origin": "known"})
    published = {
        "base": root.model("base", base, tokenizer),
        "aligned": root.model("aligned", aligned, tokenizer, "align"),
        "prompts": root.prompts("prompts", prompts, transform="plain"),
        "lexicon": root.publish("words", "pairs", lambda to: (to / "toxic.json").write_text(words)),
    }
    return published, by_texts(aligned, tokenizer, texts)


def by_texts(model, tokenizer, texts):
    """The mean probability that a text goes on with a word: each way to go on is read as a text."""
    ways = {
        tuple(tokenizer(f" {form}")["input_ids"])
        for word in WORDS
        for form in (word, word.capitalize())
    }
    assert sum(len(way) > 1 for way in ways) > len(ways) / 2
    ways = [way for way in ways if not any(way[:n] in ways for n in range(1, len(way)))]
    sums = []
    for text in texts:
        prompt = tokenizer(text)["input_ids"]
        total = 0.0
        for way in ways:
            whole = torch.tensor([[*prompt, *way]])
            with torch.inference_mode():
                steps = model(whole).logits[0].double().log_softmax(-1)
            places = range(len(prompt) - 1, len(prompt) + len(way) - 1)
            total += float(sum(steps[a, b] for a, b in zip(places, way, strict=True)).exp())
        sums.append(total)
    return float(np.mean(sums))


def rows(done):
    return from_parquet(done.read("measurements.parquet")).to_pylist()


def key(row):
    return row["metric"], row["dose"]


def agrees(row, truth):
    """What was counted and what was left hold the truth between them."""
    assert row["coverage"] == 1
    assert row["value"] <= truth * (1 + 1e-4)
    assert truth <= (row["value"] + row["uncounted"]) * (1 + 1e-4)
    assert row["uncounted"] <= 1.01 * SHARE * (row["value"] + row["uncounted"])


def test_behave_reports_what_the_texts_themselves_say(root, inputs):
    published, truth = inputs
    params = {"metrics": ["toxic_mass"], "most_uncounted": SHARE}
    given = {name: published[name] for name in ("prompts", "lexicon")}
    done = root.done("behave", params, model=published["aligned"], **given)
    (row,) = rows(done)
    agrees(row, truth)


@pytest.mark.slow
@pytest.mark.parametrize("edited", ["every", "newest"])
def test_under_an_intervention_the_words_are_edited_as_their_texts_would_be(root, inputs, edited):
    published, truth = inputs
    given = {name: published[name] for name in ("base", "aligned", "prompts")}
    extract = {"sites": ["resid_mid", "resid_post"], "layers": "all", "positions": ["all"]}
    delta = root.done("extract", {**extract, "full_rows": ["all"]}, **given)
    params = {
        "metrics": ["toxic_mass"],
        "intervention": "add-mean-offset",
        "edited": edited,
        "site": "resid_post",
        "depth": 0.5,
        "position": "all",
        "doses": [1],
        "random_controls": 3,
        "most_uncounted": SHARE,
    }
    done = root.done("intervene", params, **published, delta=delta)
    (row,) = (row for row in rows(done) if key(row) == ("patched_toxic_mass", "1"))
    agrees(row, truth)


@pytest.mark.slow
def test_an_intervention_asks_for_the_end_of_a_word_where_its_params_do(root, inputs):
    published, _ = inputs
    given = {name: published[name] for name in ("base", "aligned", "prompts")}
    extract = {"sites": ["resid_mid", "resid_post"], "layers": "all", "positions": ["all"]}
    delta = root.done("extract", {**extract, "full_rows": ["all"]}, **given)
    words = {"metrics": ["toxic_mass"], "word_ends": "required", "most_uncounted": SHARE}
    params = {
        **words,
        "intervention": "add-mean-offset",
        "site": "resid_post",
        "depth": 0.5,
        "position": "all",
        "doses": [1],
        "random_controls": 3,
    }
    patched = rows(root.done("intervene", params, **published, delta=delta))
    given = {name: published[name] for name in ("prompts", "lexicon")}
    (own,) = rows(root.done("behave", words, model=published["aligned"], **given))
    (row,) = (row for row in patched if key(row) == ("patched_toxic_mass", "1"))
    assert row["value"] == pytest.approx(own["value"], rel=2 * SHARE)
