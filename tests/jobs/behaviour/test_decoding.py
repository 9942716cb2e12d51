"""Continuations in batches with padding and a cache, against one whole forward pass a token."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from cluster.errors import OutOfMemory
from jobs.behaviour.decoding import decode
from jobs.models.family import family_of, names

PROMPTS = [[3, 7, 5], [9], [4, 4, 8, 11, 2, 6], [12, 3]]
NUM_TOKENS = 5
WINDOW = 4


@pytest.mark.parametrize("family", names())
def test_every_family_says_in_a_batch_what_it_says_alone(family, decided_model, said_alone):
    model = decided_model(family)
    expected = said_alone(model, PROMPTS, NUM_TOKENS)
    assert decode(model, PROMPTS, NUM_TOKENS, token_budget=1000) == expected
    assert len({tuple(each) for each in expected}) > 1


def test_a_kernel_that_lets_padding_into_a_text_changes_no_continuation(decided_model, said_alone):
    """As on some GPUs: a place that sees nothing becomes NaN, and with it the whole text."""
    model = decided_model("llama")
    expected = said_alone(model, [*PROMPTS, [5, 1, 2]], NUM_TOKENS)
    sizes = []

    def leak(module, inputs, given, output):
        sizes.append(given["attention_mask"].shape)
        hidden = given["attention_mask"].eq(0).any(dim=1)
        output.logits[hidden] = float("nan")
        return output

    handle = model.register_forward_hook(leak, with_kwargs=True)
    try:
        said = decode(model, [*PROMPTS, [5, 1, 2]], NUM_TOKENS, token_budget=1000)
    finally:
        handle.remove()
    assert said == expected
    assert sizes[0] == (5, 6) and max(size[0] for size in sizes[1:]) == 2  # those of one length


def test_nan_without_any_padding_is_not_looked_for_again(decided_model):
    model = decided_model("llama")
    calls = []

    def broken(module, inputs, given, output):
        calls.append(1)
        output.logits[:] = float("nan")
        return output

    handle = model.register_forward_hook(broken, with_kwargs=True)
    try:
        decode(model, [[3, 7], [9, 4]], 1, token_budget=1000)
    finally:
        handle.remove()
    assert len(calls) == 1


@pytest.mark.parametrize("family", ["gemma2", "gemma3_text", "mistral"])
def test_pads_use_up_no_window_of_attention(family, tiny_sizes, said_alone):
    """A cache of a window drops what lies behind it: pads and prompts are of many lengths."""
    prompts = [[3 + (7 * at) % 17 for at in range(length)] for length in (13, 5, 1)]
    model = with_window(WINDOW, family, tiny_sizes)
    expected = said_alone(model, prompts, WINDOW + 2)
    assert decode(model, prompts, WINDOW + 2, token_budget=1000) == expected
    assert expected != said_alone(with_window(64, family, tiny_sizes), prompts, WINDOW + 2)


def with_window(window, family, sizes):
    config = family_of(family).hf_config({"family": family, **sizes, "max_positions": 64})
    config.sliding_window = window
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5 if parameter.ndim > 1 else 1)
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    return model


@pytest.mark.parametrize("most", [1, 2, 3])
def test_where_memory_runs_out_batches_are_halved_and_say_the_same(decided_model, most):
    model = decided_model("gpt2")
    expected = decode(model, PROMPTS, NUM_TOKENS, token_budget=1000)
    sizes = []

    def run_out(module, inputs, given):
        sizes.append(len(given["input_ids"]))
        if sizes[-1] > most:
            raise RuntimeError("CUDA error: out of memory")

    handle = model.register_forward_pre_hook(run_out, with_kwargs=True)
    try:
        done = []
        said = decode(model, PROMPTS, NUM_TOKENS, token_budget=1000, after_batch=done.append)
    finally:
        handle.remove()
    assert said == expected and done[-1] == len(PROMPTS)
    assert sum(size > most for size in sizes) == {1: 2, 2: 1, 3: 1}[most]


def test_one_prompt_that_is_too_much_is_told_as_memory_that_ran_out(decided_model):
    model = decided_model("gpt2")

    def run_out(module, inputs, given):
        raise RuntimeError("CUDA error: out of memory")

    handle = model.register_forward_pre_hook(run_out, with_kwargs=True)
    try:
        with pytest.raises(OutOfMemory):
            decode(model, PROMPTS, NUM_TOKENS, token_budget=1000)
    finally:
        handle.remove()


def test_a_choice_is_told_which_prompts_it_chooses_for_and_how_far_they_are(tiny_model):
    model = tiny_model("gpt2").eval()
    told = []

    def choose(logits, prompts, num_said):
        told.append((tuple(prompts), num_said, len(logits)))
        return torch.tensor([10 + prompt for prompt in prompts])

    model.config.eos_token_id = model.generation_config.eos_token_id = None
    said = decode(model, PROMPTS, 2, token_budget=16, choose=choose)
    assert said == [[10, 10], [11, 11], [12, 12], [13, 13]]
    assert told == [((2, 0), 0, 2), ((2, 0), 1, 2), ((3, 1), 0, 2), ((3, 1), 1, 2)]
