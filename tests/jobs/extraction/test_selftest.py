"""The residual self-test passes on stock families and fails when a site is not what it says."""

import numpy as np
import pytest

from cluster.errors import UserError
from jobs.extraction.pair import Inputs
from jobs.extraction.selftest import check_residual_stream
from jobs.extraction.taps import blocks_of
from jobs.family import names
from jobs.tokens.batches import padded
from jobs.tokens.plan import build
from jobs.tokens.positions import positions


@pytest.fixture
def inputs(word_tokenizer):
    prompts = [
        {
            "prompt": number,
            "group": 0,
            "segments": [{"role": "prompt", "text": "word1 word5 word7 word2"[: 6 * (number + 1)]}],
        }
        for number in range(3)
    ]
    plan, _ = build(prompts, word_tokenizer(), 20)
    return Inputs(padded(plan, np.arange(3), positions(plan, ["all"], 0)), "cpu")


@pytest.mark.parametrize("family", names())
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_family_adds_up(family, dtype, inputs, tiny_model):
    import torch

    model = tiny_model(family, num_layers=3).eval().to(getattr(torch, dtype))
    check_residual_stream("base", model, inputs, 2)


def test_gpt_neox_in_sequence_adds_up_too(inputs, tiny_model):
    model = tiny_model("gpt_neox", parallel=False).eval()
    check_residual_stream("base", model, inputs, 1)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_norm_after_the_mlp_is_caught(family, inputs, tiny_model):
    """A block that scales what its MLP writes: the tap on the MLP no longer shows what is added."""
    model = tiny_model(family).eval()
    block = blocks_of(model)[1]

    def post_norm(module, arguments, output):
        return output * 1.001

    block.register_forward_hook(post_norm)
    with pytest.raises(UserError, match="does not add up: resid_post") as caught:
        check_residual_stream("aligned", model, inputs, 1)
    assert "aligned model" in str(caught.value) and "layer 1" in str(caught.value)
    check_residual_stream("aligned", model, inputs, 0)
