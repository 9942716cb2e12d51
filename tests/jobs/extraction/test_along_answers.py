"""Along answers: an offset that fades from token to token is measured as planted, and begun."""

import copy
import random

import numpy as np
import pytest
import torch

from analysis.long_table.files import from_parquet
from jobs.store.activation_store import ActivationStore
from tests.jobs.extraction.silent_blocks import silence_blocks

ASKED = 3
"""Words of every prompt."""
STRENGTH = (1.0, 0.8, 0.2)
"""Length of the planted offset at each token of an answer."""
LOUD = 19
"""A word with an offset of its own, with which only short answers begin."""
PLACE = {"layers": [0, 1], "sites": ["resid_post"]}


@pytest.fixture
def fading(root, tiny_model, word_tokenizer):
    """A pair whose offset depends on the place alone, over 40 long answers and 40 short ones."""
    base = tiny_model("gpt2", max_positions=32)
    silence_blocks(base)
    aligned = copy.deepcopy(base)
    direction = torch.randn(16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        aligned.transformer.wte.weight[2 + LOUD] += 30 * direction.flip(0)
        for token, strength in enumerate(STRENGTH):
            aligned.transformer.wpe.weight[ASKED + token] += strength * direction
    draw = random.Random(8)

    def words(count, first=None):
        drawn = [draw.randrange(LOUD) for _ in range(count)]
        drawn[0] = drawn[0] if first is None else first
        return "".join(f" word{word}" for word in drawn)

    answers = [words(len(STRENGTH)) for _ in range(40)] + [words(2, LOUD) for _ in range(40)]
    lines = [
        {
            "prompt": number,
            "group": number % 20,
            "segments": [
                {"role": "prompt", "text": words(ASKED)},
                {"role": "response", "text": answer},
            ],
        }
        for number, answer in enumerate(answers)
    ]
    tokenizer = word_tokenizer(eos_token="<end>")
    return {
        "base": root.model("base", base, tokenizer),
        "aligned": root.model("aligned", aligned, tokenizer, "align"),
        "prompts": root.prompts("answers", lines, positions=["response-depths"], transform="plain"),
    }


def test_a_depth_is_held_against_the_first_token_of_the_answers_that_reach_it(root, fading):
    delta = root.done("extract", PLACE, **fading)
    metrics = ["offset_norm", "first_token_cosine"]
    params = {"metrics": metrics, "over_answer": ["half-depth"]}
    rows = from_parquet(root.done("measure", params, delta=delta).read("measurements.parquet"))
    found = {(r["metric"], r["layer"], r["position"]): r for r in rows.to_pylist()}
    assert {position for _, _, position in found} == {
        "response-0",
        "response-1",
        "response-2",
        None,
    }
    for layer in (0, 1):
        counts = [found["offset_norm", layer, f"response-{k}"]["num_rows"] for k in range(3)]
        assert counts == [80, 80, 40]
        # Short answers begin loudly, elsewhere: they have no part in what deep tokens are held to.
        assert found["first_token_cosine", layer, "response-2"]["value"] == pytest.approx(1.0)
        assert found["first_token_cosine", layer, "response-1"]["value"] < 0.9
        half = found["half_depth_offset_norm", layer, None]
        assert half["status"] == "ok" and half["low"] <= half["value"] <= half["high"]


def test_a_begun_reply_ends_where_the_answers_own_token_stands(root, fading):
    """A causal model reads the same: δ after k given tokens is δ at `response-(k - 1)`."""
    whole = ActivationStore(root.done("extract", PLACE, **fading))
    begun = root.done("extract", {**PLACE, "prefill": "prefill-3", "positions": ["last"]}, **fading)
    store = ActivationStore(begun)
    for layer in (0, 1):
        here, there = (
            each.stored("resid_post", layer, label)
            for each, label in ((store, "last"), (whole, "response-2"))
        )
        assert here.index.prompts.tolist() == there.index.prompts.tolist()
        np.testing.assert_allclose(here[:], there[:], rtol=1e-5, atol=1e-6)
    assert begun.facts["store"]["short"] == list(range(40, 80))


def test_what_models_say_after_a_begun_reply_is_said_of_those_that_have_one(root, fading):
    params = {"metrics": ["perplexity"], "prefill": 1, "new_tokens": 2}
    inputs = {"model": fading["aligned"], "prompts": fading["prompts"]}
    rows, begun = (
        from_parquet(root.done("behave", each, **inputs).read("measurements.parquet")).to_pylist()
        for each in ({**params, "prefill": 0}, params)
    )
    assert (rows[0]["num_rows"], begun[0]["num_rows"]) == (200, 120)


def test_divergence_goes_on_from_a_begun_reply(root, fading):
    params = {"metrics": ["token_kl"], "num_positions": 4, "over_answer": ["half_depth"]}
    whole, begun = (
        {
            r["position"]: r
            for r in from_parquet(
                root.done("predictions", each, **fading).read("measurements.parquet")
            ).to_pylist()
            if r["metric"] == "token_kl"
        }
        for each in (params, {**params, "prefill": 2})
    )
    assert [whole[f"output-{k}"]["num_rows"] for k in (1, 2, 3)] == [80, 80, 40]
    # Of answers of two tokens nothing is left to compare but what the model goes on with.
    assert begun["output-1"]["num_rows"] == 80
    long = whole["output-3"]["value"]
    assert long is not None and begun["output-1"]["value"] is not None
