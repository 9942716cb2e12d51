"""Next tokens scored on a pretended GPU: the processor's numbers, and no vocabulary on the host."""

import copy

import numpy as np
import pytest
import torch

from jobs.behaviour.next_token_probabilities import read_next_token_probabilities
from jobs.models.loading import load_model
from jobs.predicting.logit_lens import read_lens
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions
from tests.fake_gpu.fake_cuda import fake_gpus

pytestmark = pytest.mark.fake_gpu
BUDGET = 30


@pytest.fixture(scope="module")
def plan(few_prompts, word_tokenizer):
    plan, _ = build_token_plan(few_prompts, word_tokenizer(eos_token="<end>"), 64, num_rows=22)
    return plan


def probabilities(model, plan, after_batch=lambda done: None):
    everywhere = np.ones(len(plan.token_ids), dtype=bool)
    return read_next_token_probabilities(
        model,
        plan,
        token_set=[3, 5, 8],
        mass_after=everywhere,
        scored=everywhere,
        token_budget=BUDGET,
        after_batch=after_batch,
    )


def test_a_batch_is_scored_on_its_device_and_two_numbers_a_row_leave_it(tiny_model, plan):
    model, done = tiny_model("gpt2", vocab_size=2000).eval(), []
    model.set_attn_implementation("eager")
    expected = probabilities(model, plan)
    with fake_gpus(1) as counts:
        on_gpu = copy.deepcopy(model).to("cuda")
        before = len(counts.events)
        found = probabilities(on_gpu, plan, done.append)
        counts.events = counts.events[before:]
    np.testing.assert_array_equal(found.mass, expected.mass)
    np.testing.assert_array_equal(found.log_probability, expected.log_probability)
    assert len(done) >= 4
    assert len(counts.waits()) <= 2 * len(done), counts.waits()
    assert sum(event.nbytes for event in counts.copied("to host")) <= 16 * len(plan.token_ids)


def test_a_lens_leaves_two_numbers_a_row_on_the_host(tiny_model, plan):
    model = tiny_model("gpt2", vocab_size=2000).eval()
    model.set_attn_implementation("eager")
    wanted = {
        "positions": find_positions(plan, ["all"], 0),
        "places": [("resid_post", 0), ("resid_post", 1)],
        "token_set": [3, 5],
        "token_budget": BUDGET,
    }
    expected, done = read_lens(model, plan, **wanted), []
    with fake_gpus(1) as counts:
        on_gpu = copy.deepcopy(model).to("cuda")
        before = len(counts.events)
        found = read_lens(on_gpu, plan, **wanted, after_batch=done.append)
        counts.events = counts.events[before:]
    np.testing.assert_array_equal(found.toxic, expected.toxic)
    np.testing.assert_array_equal(found.following, expected.following)
    assert sum(event.nbytes for event in counts.copied("to host")) == 16 * 2 * len(found.tokens)


def test_weights_are_read_straight_to_the_gpu(saved_models, monkeypatch):
    """Not into a whole model in host memory, which then moves."""
    expected = load_model(saved_models / "llama").state_dict()

    def refuse(model, *where):
        raise AssertionError(f"a whole {type(model).__name__} moves")

    monkeypatch.setattr(torch.nn.Module, "to", refuse)
    with fake_gpus(2) as counts:
        model = load_model(saved_models / "llama", device="cuda")
        tensors = [*model.parameters(), *model.buffers()]
        assert {tensor.device for tensor in tensors} == {torch.device("cuda:0")}
        assert len(counts.copied("to device")) <= len(tensors)
        for name, weight in model.state_dict().items():
            assert torch.equal(weight.cpu(), expected[name]), name
