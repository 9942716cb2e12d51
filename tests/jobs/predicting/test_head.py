"""The head of every family, on rows of its stream, against the model's own forward pass."""

import pytest
import torch

from jobs.models.family import names
from jobs.predicting.head import Head
from jobs.taps.activations import Inputs
from jobs.tokens.batches import pad_batch
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions


@pytest.fixture
def loud(tiny_model):
    """A function: family, changed fields -> a model whose logits are far apart."""

    def make(family, **change):
        model = tiny_model(family, **change).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(4)
        return model

    return make


def last_rows(model, plan_prompts, tokenizer):
    """(what leaves the last block, the model's own logits) at every token of the prompts."""
    plan, _ = build_token_plan(plan_prompts, tokenizer, 32)
    batch = pad_batch(
        plan, torch.arange(len(plan.prompts)).numpy(), find_positions(plan, ["all"], 0)
    )
    inputs = Inputs(batch, "cpu")
    rows = Head(model).rows(inputs)
    with torch.inference_mode():
        logits = model(inputs.token_ids, position_ids=inputs.position_ids, use_cache=False).logits
    return rows, inputs.gather(logits)


PROMPTS = [
    {"prompt": 0, "group": 0, "segments": [{"role": "prompt", "text": "word1 word7 word3"}]},
    {"prompt": 1, "group": 1, "segments": [{"role": "prompt", "text": "word9 word2"}]},
]


@pytest.mark.parametrize("family", names())
def test_the_rows_that_leave_the_last_block_give_the_models_own_logits(
    family, loud, word_tokenizer
):
    model = loud(family)
    rows, own = last_rows(model, PROMPTS, word_tokenizer())
    assert own.std() > 0.1  # else anything would do
    torch.testing.assert_close(Head(model).logits(rows), own, rtol=1e-5, atol=1e-5)
    left = Head.remaining_from(model)
    torch.testing.assert_close(left.logits(rows), own, rtol=1e-5, atol=1e-5)


def test_soft_caps_and_norms_after_blocks_and_projections_are_the_models_own(loud, word_tokenizer):
    for family, change in (("gemma2", {}), ("gemma3_text", {}), ("opt", {"pre_norm": False})):
        model = loud(family, **change)
        if hasattr(model.config, "final_logit_softcapping"):
            model.config.final_logit_softcapping = 0.5
        rows, own = last_rows(model, PROMPTS, word_tokenizer())
        if hasattr(model.config, "final_logit_softcapping"):
            assert own.abs().max() <= 0.5
        torch.testing.assert_close(Head(model).logits(rows), own, rtol=1e-5, atol=1e-5)


def test_a_model_is_itself_again_after_its_head_was_used(loud, word_tokenizer):
    model = loud("gpt2")
    rows, own = last_rows(model, PROMPTS, word_tokenizer())
    Head(model).logits(torch.zeros_like(rows))
    torch.testing.assert_close(last_rows(model, PROMPTS, word_tokenizer())[1], own)


def test_what_is_left_of_a_model_holds_one_block(loud):
    model = loud("llama", num_layers=5)
    before = sum(parameter.numel() for parameter in model.parameters())
    block = sum(parameter.numel() for parameter in model.model.layers[0].parameters())
    Head.remaining_from(model)
    assert sum(parameter.numel() for parameter in model.parameters()) == before - 4 * block


def test_rows_are_cut_so_that_their_logits_stay_small(loud):
    head = Head(loud("gpt2"))
    parts = list(head.chunks(2_000_000))
    assert parts[0].start == 0 and parts[-1].stop == 2_000_000 and len(parts) > 1
    assert all(one.stop == two.start for one, two in zip(parts, parts[1:], strict=False))
    assert max(part.stop - part.start for part in parts) * head.vocab_size <= 1 << 24
