"""Every site of every family equals its block written out in NumPy, in double precision, unpadded.

The models run as an extraction runs them: fp32, padded on the right, positions given.
"""

import math

import numpy as np
import pytest

from jobs.models.family import SITES, Missing, family_of, names
from jobs.taps.activations import Inputs, read_activations
from jobs.tokens.batches import pad_batch
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions

LAYERS = 3
SIZES = {"num_layers": LAYERS, "d_model": 32, "num_heads": 4, "d_mlp": 52, "vocab_size": 22}
FULL, SLIDING = "full_attention", "sliding_attention"
MIXED = [SLIDING, FULL, SLIDING]
WINDOW = 3

CASES = {
    # name: our fields, and what is changed in the transformers config
    "gpt2": ({"family": "gpt2", "tie": False}, {}),
    "gpt_neox parallel": ({"family": "gpt_neox"}, {}),
    "gpt_neox serial": ({"family": "gpt_neox", "parallel": False}, {}),
    "llama": ({"family": "llama", "num_key_value_heads": 2}, {}),
    "llama biased": ({"family": "llama", "attention_bias": True, "mlp_bias": True}, {}),
    "mistral window": (
        {"family": "mistral", "num_key_value_heads": 1, "d_head": 10},
        {"sliding_window": WINDOW},
    ),
    "qwen2 window": (
        {"family": "qwen2", "num_key_value_heads": 2},
        {"use_sliding_window": True, "sliding_window": WINDOW, "layer_types": MIXED},
    ),
    "qwen3": ({"family": "qwen3", "num_key_value_heads": 2, "d_head": 10}, {}),
    "gemma2": (
        {"family": "gemma2", "num_key_value_heads": 2, "d_head": 10},
        {"sliding_window": WINDOW, "attn_logit_softcapping": 1.5, "query_pre_attn_scalar": 7},
    ),
    "gemma3_text": (
        {"family": "gemma3_text", "num_key_value_heads": 1, "d_head": 10},
        {"sliding_window": WINDOW, "layer_types": MIXED, "query_pre_attn_scalar": 7},
    ),
    "opt": ({"family": "opt"}, {}),
    "opt narrow embedding": ({"family": "opt", "d_embedding": 10, "attention_bias": False}, {}),
    "opt norms after": ({"family": "opt", "pre_norm": False}, {}),
    "phi": ({"family": "phi"}, {}),
    "phi normed heads": ({"family": "phi", "num_key_value_heads": 2, "qk_norm": True}, {}),
}


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_exact(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def silu(x):
    return x / (1 + np.exp(-x))


def layer_norm(x, weights, name, epsilon=1e-5):
    centred = x - x.mean(axis=-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
    return normed * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def rms_norm(x, weight, epsilon=1e-6):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon) * weight


def linear(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0)


def split(x, num_heads):
    """[t, heads * e] -> [heads, t, e]."""
    return x.reshape(len(x), num_heads, -1).transpose(1, 0, 2)


def rotated(x, width, theta=10_000.0):
    """Entries i and i + width/2 of a head as one complex number, turned by t theta^(-2i/width)."""
    half = width // 2
    angle = np.arange(x.shape[1])[:, None] * theta ** (-np.arange(half) / half)
    turned = (x[..., :half] + 1j * x[..., half:width]) * np.exp(1j * angle)
    return np.concatenate([turned.real, turned.imag, x[..., width:]], axis=-1)


def attend(query, key, value, scale, window=None, cap=None):
    """Causal attention over [heads, t, e]; consecutive query heads share a key and value head."""
    key, value = (np.repeat(part, len(query) // len(part), axis=0) for part in (key, value))
    scores = query @ key.transpose(0, 2, 1) * scale
    scores = scores if cap is None else cap * np.tanh(scores / cap)
    back = np.subtract.outer(np.arange(query.shape[1]), np.arange(query.shape[1]))
    scores[:, (back < 0) | (back >= (window or len(back)))] = -np.inf
    share = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = share / share.sum(axis=-1, keepdims=True) @ value
    return mixed.transpose(1, 0, 2).reshape(query.shape[1], -1)


def serial(x, attention, mlp):
    """The sites of a block that adds attention, then an MLP of the sum."""
    attn_out = attention(x)
    mlp_out, neurons = mlp(x + attn_out)
    stream = {"resid_pre": x, "resid_mid": x + attn_out, "resid_post": x + attn_out + mlp_out}
    return stream | {"attn_out": attn_out, "mlp_out": mlp_out} | neurons


def parallel(x, attention, mlp):
    """The sites of a block whose attention and MLP read the same stream."""
    attn_out, (mlp_out, neurons) = attention(x), mlp(x)
    stream = {"resid_pre": x, "resid_post": x + attn_out + mlp_out}
    return stream | {"attn_out": attn_out, "mlp_out": mlp_out} | neurons


def gpt2(x, w, config, layer):
    def attention(x):
        normed = layer_norm(x, w, "ln_1")
        mixed = normed @ w["attn.c_attn.weight"] + w["attn.c_attn.bias"]
        query, key, value = (split(part, 4) for part in np.split(mixed, 3, axis=1))
        return attend(query, key, value, 8**-0.5) @ w["attn.c_proj.weight"] + w["attn.c_proj.bias"]

    def mlp(x):
        inner = layer_norm(x, w, "ln_2") @ w["mlp.c_fc.weight"] + w["mlp.c_fc.bias"]
        act = gelu_tanh(inner)
        return act @ w["mlp.c_proj.weight"] + w["mlp.c_proj.bias"], {"mlp_act": act}

    return serial(x, attention, mlp)


def gpt_neox(x, w, config, layer):
    def attention(x):
        mixed = linear(layer_norm(x, w, "input_layernorm"), w, "attention.query_key_value")
        query, key, value = np.split(split(mixed, 4), 3, axis=-1)  # of each head in turn
        mixed = attend(rotated(query, 2), rotated(key, 2), value, 8**-0.5)
        return linear(mixed, w, "attention.dense")

    def mlp(x):
        normed = layer_norm(x, w, "post_attention_layernorm")
        act = gelu_exact(linear(normed, w, "mlp.dense_h_to_4h"))
        return linear(act, w, "mlp.dense_4h_to_h"), {"mlp_act": act}

    return (parallel if config.use_parallel_residual else serial)(x, attention, mlp)


def phi(x, w, config, layer):
    def attention(x):
        normed = layer_norm(x, w, "input_layernorm")
        query, key, value = (
            split(linear(normed, w, f"self_attn.{part}_proj"), num_heads)
            for part, num_heads in (
                ("q", 4),
                *((each, config.num_key_value_heads) for each in "kv"),
            )
        )
        if config.qk_layernorm:
            query = layer_norm(query, w, "self_attn.q_layernorm")
            key = layer_norm(key, w, "self_attn.k_layernorm")
        mixed = attend(rotated(query, 4), rotated(key, 4), value, 8**-0.5)
        return linear(mixed, w, "self_attn.dense")

    def mlp(x):
        act = gelu_tanh(linear(layer_norm(x, w, "input_layernorm"), w, "mlp.fc1"))
        return linear(act, w, "mlp.fc2"), {"mlp_act": act}

    return parallel(x, attention, mlp)


def opt(x, w, config, layer):
    before = config.do_layer_norm_before

    def attention(x):
        normed = layer_norm(x, w, "self_attn_layer_norm") if before else x
        parts = (split(linear(normed, w, f"self_attn.{part}_proj"), 4) for part in "qkv")
        return linear(attend(*parts, 8**-0.5), w, "self_attn.out_proj")

    def mlp(x):
        normed = layer_norm(x, w, "final_layer_norm") if before else x
        act = np.maximum(linear(normed, w, "fc1"), 0)
        return linear(act, w, "fc2"), {"mlp_act": act}

    if before:
        return serial(x, attention, mlp)
    middle = layer_norm(x + attention(x), w, "self_attn_layer_norm")
    mlp_out, neurons = mlp(middle)
    return {"resid_post": layer_norm(middle + mlp_out, w, "final_layer_norm"), **neurons}


def gated(x, w, config, layer):
    """LLaMA's block and those that follow it: Mistral, Qwen 2 and 3, Gemma 2 and 3."""
    family = config.model_type
    gemma = family.startswith("gemma")
    kind = getattr(config, "layer_types", [SLIDING] * LAYERS)[layer]
    window = WINDOW if kind == SLIDING and family != "llama" else None
    theta = 1_000_000.0 if family == "gemma3_text" and kind == FULL else 10_000.0

    def norm(x, name):
        return rms_norm(x, w[f"{name}.weight"] + gemma)

    def attention(x):
        normed = norm(x, "input_layernorm")
        shared = config.num_key_value_heads
        query = split(linear(normed, w, "self_attn.q_proj"), 4)
        key, value = (split(linear(normed, w, f"self_attn.{each}_proj"), shared) for each in "kv")
        if family in ("qwen3", "gemma3_text"):
            query, key = norm(query, "self_attn.q_norm"), norm(key, "self_attn.k_norm")
        width = query.shape[-1]
        query, key = rotated(query, width, theta), rotated(key, width, theta)
        scale = (7 if gemma else width) ** -0.5
        mixed = attend(query, key, value, scale, window, 1.5 if family == "gemma2" else None)
        out = linear(mixed, w, "self_attn.o_proj")
        return norm(out, "post_attention_layernorm") if gemma else out

    def mlp(x):
        normed = norm(x, "pre_feedforward_layernorm" if gemma else "post_attention_layernorm")
        gate = (gelu_tanh if gemma else silu)(linear(normed, w, "mlp.gate_proj"))
        up = linear(normed, w, "mlp.up_proj")
        out = linear(gate * up, w, "mlp.down_proj")
        out = norm(out, "post_feedforward_layernorm") if gemma else out
        return out, {"mlp_act": gate * up, "mlp_gate": gate, "mlp_linear": up}

    return serial(x, attention, mlp)


BLOCKS = {"gpt2": gpt2, "gpt_neox": gpt_neox, "opt": opt, "phi": phi}


def embedded(ids, weights, config):
    """What enters the first block."""
    if config.model_type == "gpt2":
        return (
            weights["transformer.wte.weight"][ids] + weights["transformer.wpe.weight"][: len(ids)]
        )
    if config.model_type == "opt":
        tokens = weights["model.decoder.embed_tokens.weight"][ids]
        if config.word_embed_proj_dim != 32:
            tokens = linear(tokens, weights, "model.decoder.project_in")
        return tokens + weights["model.decoder.embed_positions.weight"][2 : 2 + len(ids)]
    tokens = weights[f"{family_of(config.model_type).EMBEDDING}.weight"][ids]
    return tokens * (math.sqrt(32) if config.model_type.startswith("gemma") else 1)


def recomputed(ids, model):
    """(site, layer) -> [t, width], of one prompt."""
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
    family = model.config.model_type
    x, found = embedded(ids, weights, model.config), {}
    for layer in range(LAYERS):
        prefix = f"{family_of(family).BLOCKS}.{layer}."
        inside = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        sites = BLOCKS.get(family, gated)(x, inside, model.config, layer)
        found |= {(site, layer): value for site, value in sites.items()}
        x = sites["resid_post"]
    return found


def random_model(fields, change):
    """A model whose every weight matters, norms and biases included."""
    import torch
    from transformers import AutoModelForCausalLM

    config = family_of(fields["family"]).hf_config({**SIZES, **fields})
    for name, value in change.items():
        setattr(config, name, value)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        model = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.15 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def prompts(word_tokenizer):
    """A plan of prompts of 9, 2 and 6 tokens, and them in one batch."""
    texts = ["word1 word5 word7 word2 word2 word9 word0 word11 word3", "word4 word8"]
    texts.append("word19 word6 word7 word0 word13 word1")
    plan, _ = build_token_plan(
        [
            {"prompt": number, "group": 0, "segments": [{"role": "prompt", "text": text}]}
            for number, text in enumerate(texts)
        ],
        word_tokenizer(),
        20,
    )
    return plan, pad_batch(plan, np.arange(3), find_positions(plan, ["all"], 0))


def test_every_family_is_here():
    assert {fields["family"] for fields, _ in CASES.values()} == set(names())


@pytest.mark.parametrize(("fields", "change"), CASES.values(), ids=CASES)
def test_every_site_at_every_layer_is_what_the_weights_say(fields, change, prompts):
    """Lesson 28: what documents say of sites may contradict the code."""
    plan, batch = prompts
    model = random_model(fields, change)
    taps = family_of(fields["family"]).sites(model.config)
    shown = [site for site in SITES if not isinstance(taps[site], Missing)]
    places = [(site, layer) for site in shown for layer in range(LAYERS)]
    rows = read_activations(model, Inputs(batch, "cpu"), places)
    for member in range(3):
        ids = plan.token_ids[plan.offsets[member] : plan.offsets[member] + plan.lengths[member]]
        expected = recomputed(ids, model)
        hidden = {"resid_post"} if fields.get("pre_norm") is False else set()
        assert {site for site, _ in expected} - hidden == set(shown)
        for place in places:
            ours = rows[place].numpy()[batch.owners == member]
            assert np.abs(expected[place]).mean() > 0.01
            np.testing.assert_allclose(ours, expected[place], rtol=0, atol=5e-5, err_msg=str(place))


@pytest.mark.parametrize(("fields", "change"), CASES.values(), ids=CASES)
def test_positions_may_be_given_and_change_nothing_where_padding_is_right(fields, change, prompts):
    """Lesson 15: GPT-2 does not derive positions from the mask."""
    import torch

    model, inputs = random_model(fields, change), Inputs(prompts[1], "cpu")
    given = {"input_ids": inputs.token_ids, "attention_mask": inputs.attention_mask}
    with torch.no_grad():
        without = model.base_model(**given).last_hidden_state
        shown = model.base_model(**given, position_ids=inputs.position_ids).last_hidden_state
        later = model.base_model(**given, position_ids=inputs.position_ids * 2).last_hidden_state
    real = inputs.attention_mask.bool()
    torch.testing.assert_close(shown[real], without[real], rtol=0, atol=1e-6)
    assert (later[real] - without[real]).abs().max() > 1e-3  # they are looked at
