"""The residual self-test passes on stock families and fails when a site is not what it says."""

import numpy as np
import pytest
import torch

from cluster.errors import UserError
from jobs.models.family import SITES, Missing, Tap, family_of, names
from jobs.taps.activations import Inputs
from jobs.taps.selftest import check_residual_stream
from jobs.taps.taps import blocks_of
from jobs.tokens.batches import pad_batch
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions


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
    plan, _ = build_token_plan(prompts, word_tokenizer(), 20)
    return Inputs(pad_batch(plan, np.arange(3), find_positions(plan, ["all"], 0)), "cpu")


@pytest.mark.parametrize("family", names())
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_family_adds_up(family, dtype, inputs, tiny_model):
    model = tiny_model(family, num_layers=3).eval().to(getattr(torch, dtype))
    check_residual_stream("base", model, inputs, 2)


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("gpt_neox", {"parallel": False}),
        ("opt", {"pre_norm": False}),
        ("opt", {"d_embedding": 10}),
        ("phi", {"qk_norm": True}),
    ],
)
def test_the_other_forms_of_a_family_add_up_too(family, change, inputs, tiny_model):
    check_residual_stream("base", tiny_model(family, **change).eval(), inputs, 1)


def tap(module, side="out"):
    return Tap(module=module, side=side)


def _sites(planted):
    return lambda config: planted


MLP_PARTS = {
    "mlp_act": tap("mlp.act_fn"),
    "mlp_gate": tap("mlp.gate_proj"),
    "mlp_linear": tap("mlp.gate_proj"),
}
PRE_NORM = {
    "resid_pre": tap("post_attention_layernorm", "in"),
    "resid_mid": tap("input_layernorm", "in"),
    "resid_post": tap("mlp"),
    "attn_out": tap("mlp"),
    "mlp_out": tap("self_attn"),
    **MLP_PARTS,
}
POST_NORM = {
    "resid_pre": tap("input_layernorm"),
    "resid_mid": tap("post_attention_layernorm", "in"),
    "resid_post": tap("post_feedforward_layernorm"),
    "attn_out": tap("self_attn"),  # before its norm
    "mlp_out": tap("mlp"),  # before its norm
    **MLP_PARTS,
}
WRONG = {
    "gpt2": {
        "resid_pre": tap("ln_2", "in"),
        "resid_mid": tap("ln_2"),
        "resid_post": tap("ln_2", "in"),
        "attn_out": tap("ln_1"),
        "mlp_out": tap("attn"),
        "mlp_act": tap("mlp.c_fc"),  # before the activation
    },
    "gpt_neox": {
        "resid_pre": tap("input_layernorm"),
        "resid_post": tap("mlp"),
        "attn_out": tap("post_mlp_dropout"),
        "mlp_out": tap("post_attention_dropout"),
        "mlp_act": tap("mlp.act", "in"),
    },
    "phi": {
        "resid_pre": tap("input_layernorm"),
        "resid_post": tap("mlp"),
        "attn_out": tap("mlp"),
        "mlp_out": tap("self_attn"),
        "mlp_act": tap("mlp.fc1"),
    },
    "opt": {
        "resid_pre": tap("final_layer_norm", "in"),
        "resid_mid": tap("self_attn_layer_norm", "in"),
        "resid_post": tap("final_layer_norm", "in"),
        "attn_out": tap("self_attn_layer_norm"),
        "mlp_out": tap("self_attn"),
        "mlp_act": tap("activation_fn", "in"),
    },
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3"), PRE_NORM),
    **dict.fromkeys(("gemma2", "gemma3_text"), POST_NORM),
}


@pytest.mark.parametrize("family", names())
def test_every_site_read_at_another_place_is_caught(family, inputs, tiny_model, monkeypatch):
    model, module = tiny_model(family).eval(), family_of(family)
    true = module.sites(model.config)
    with torch.no_grad():  # norms that do nothing would hide a tap on their other side
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(0.3 * torch.rand_like(parameter))
    check_residual_stream("base", model, inputs, 1)
    assert WRONG[family].keys() == {site for site in SITES if not isinstance(true[site], Missing)}
    for site, wrong in WRONG[family].items():
        monkeypatch.setattr(module, "sites", _sites({**true, site: wrong}))
        with pytest.raises(
            UserError, match=f"sites in jobs/models/families/{family}.py do not fit"
        ):
            check_residual_stream("base", model, inputs, 1)
            pytest.fail(f"{site} was read at {wrong} and nobody noticed")


def test_two_terms_in_each_other_s_place_are_caught_though_the_sum_is_the_same(
    inputs, tiny_model, monkeypatch
):
    model, module = tiny_model("gpt_neox").eval(), family_of("gpt_neox")
    true = module.sites(model.config)
    swapped = {**true, "attn_out": true["mlp_out"], "mlp_out": true["attn_out"]}
    monkeypatch.setattr(module, "sites", _sites(swapped))
    with pytest.raises(UserError, match="mlp_out is not what the neurons of mlp_act write"):
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
