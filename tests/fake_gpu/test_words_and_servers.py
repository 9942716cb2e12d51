"""Masses of words, and the check of a server, on a pretended GPU: the processor's numbers."""

import copy

import numpy as np
import pytest

from jobs.behaviour.server_check import Probe, compare_with_weights
from jobs.behaviour.toxic_masses import read_toxic_masses
from jobs.behaviour.toxic_words import ToxicWords
from jobs.service.completions import ServedTokens
from jobs.text.transform import load_transform
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions
from tests.fake_gpu.fake_cuda import fake_gpus
from tests.jobs.words.texts import characters

pytestmark = pytest.mark.fake_gpu
FIELDS = ("mass", "left", "unclear")


@pytest.fixture
def model(tiny_model):
    model = tiny_model("llama", vocab_size=40).eval()
    model.set_attn_implementation("eager")
    return model


def on_both(model, compute):
    """What is computed on the processor, and with a copy of the model on a GPU."""
    expected = compute(model)
    with fake_gpus(1) as counts:
        moved = copy.deepcopy(model).to("cuda")
        before = len(counts.events)
        result = compute(moved)
        counts.events = counts.events[before:]
    return expected, result, counts


@pytest.mark.parametrize("number", [3, pytest.param(36, marks=pytest.mark.slow)])
def test_masses_of_words_are_those_of_the_processor(model, number):
    """Of prompts that are pruned one by one, and of so many that a pilot says how far to go."""
    tokenizer = characters("abcdefg .")
    texts = ["ab ", "c", "fe. "] * (number // 3)
    lines = [
        {"prompt": at, "group": at % 2, "segments": [{"role": "prompt", "text": text}]}
        for at, text in enumerate(texts)
    ]
    plan, _ = build_token_plan(lines, tokenizer, 40)
    toxic = ToxicWords(["ab", "bad", "cab"], tokenizer, load_transform("plain"), must_end=True)

    def read(model):
        masses, _ = read_toxic_masses(
            model,
            plan,
            toxic,
            positions=find_positions(plan, ("last",), 0),
            scored=np.ones(len(plan.token_ids), dtype=bool),
            token_budget=64,
        )
        return masses

    expected, found, counts = on_both(model, read)
    assert np.nanmax(expected.mass) > 0
    for name in FIELDS:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-6)
    assert sum(event.nbytes for event in counts.copied("to host")) < 1000 * number


def test_a_server_is_judged_as_on_the_processor(model):
    probes = [
        Probe(
            prompt=[3, 4, 5],
            answer=ServedTokens(
                token_ids=(7, 8), log_probabilities=(-2.5, -3.5), has_ended=True, served="m"
            ),
        ),
        Probe(
            prompt=[6],
            answer=ServedTokens(
                token_ids=(9,), log_probabilities=None, has_ended=False, served="m"
            ),
        ),
    ]
    expected, agreement, counts = on_both(
        model, lambda model: compare_with_weights(model, probes, ends={0, 1})
    )
    assert agreement == expected
    assert (agreement.num_prompts, agreement.num_tokens) == (2, 4)
    # No vocabulary: a number a token, and what the library asks of a mask.
    assert sum(event.nbytes for event in counts.copied("to host")) <= 16 * 8
