"""Greedy decoding, and scores of pairs for training, on a pretended GPU."""

import copy

import numpy as np
import pytest

from jobs.behaviour.decoding import decode
from jobs.training.completion_log_probabilities import sum_log_probabilities
from tests.fake_gpu.fake_cuda import fake_gpus

pytestmark = pytest.mark.fake_gpu
PROMPTS = [[3, 4, 5], [6], [7, 8], [9, 10, 11, 12]]


@pytest.fixture
def model(tiny_model):
    model = tiny_model("llama", vocab_size=500).eval()
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    model.set_attn_implementation("eager")
    return model


def on_gpu(model, compute):
    """What is computed with a copy of a model on a GPU, and what that counted."""
    with fake_gpus(1) as counts:
        moved = copy.deepcopy(model).to("cuda")
        before = len(counts.events)
        result = compute(moved)
        counts.events = counts.events[before:]
    return result, counts


def test_a_token_of_a_continuation_makes_the_host_wait_twice_at_most(model):
    def continued(num_tokens):
        return lambda model: decode(model, PROMPTS, num_tokens, token_budget=1000)

    (few, before), (many, after) = (on_gpu(model, continued(count)) for count in (4, 12))
    assert many == continued(12)(model)
    assert [tokens[:4] for tokens in many] == few
    # Whether all have ended, and the library's look at the mask.
    assert len(after.waits()) - len(before.waits()) <= 2 * 8, after.waits()
    per_token = sum(event.nbytes for event in after.copied("to host")) / 12
    assert per_token <= 8 * len(PROMPTS)


def test_pairs_are_scored_without_waiting_for_each(model):
    sequences = [(prompt, prompt[::-1] * 2) for prompt in PROMPTS] + [([], [5, 6])]

    def scored(model):
        return sum_log_probabilities(model, sequences, batch_size=5)

    sums, counts = on_gpu(model, scored)
    np.testing.assert_array_equal(sums, scored(model))
    assert len(counts.waits()) <= 3, counts.waits()
    assert sum(event.nbytes for event in counts.copied("to host")) == 8 * len(sequences)
