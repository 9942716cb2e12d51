"""LLaMA: RMSNorm, rotary positions, gated SiLU, grouped key-value heads; no biases by default."""

from collections.abc import Mapping
from typing import Any

from jobs.models.family import Missing, Mlp, Saved, Tap
from jobs.models.shape import ConfigField, gated_width, hf_settings, read_shape

FIELDS = {
    "num_layers": ConfigField(name="num_hidden_layers", default=32),
    "d_model": ConfigField(name="hidden_size", default=4096),
    "num_heads": ConfigField(name="num_attention_heads", default=32),
    "num_key_value_heads": ConfigField(name="num_key_value_heads"),
    "d_head": ConfigField(name="head_dim"),
    "d_mlp": ConfigField(name="intermediate_size", default=11008, from_width=gated_width),
    "vocab_size": ConfigField(name="vocab_size", default=32000),
    "max_positions": ConfigField(name="max_position_embeddings", default=2048),
    "tie": ConfigField(name="tie_word_embeddings", default=False),
    "attention_bias": ConfigField(name="attention_bias", default=False),
    "mlp_bias": ConfigField(name="mlp_bias", default=False),
}
BLOCKS = "model.layers"
FINAL_NORM = "model.norm"
EMBEDDING = "model.embed_tokens"
SAVED = {
    "float32": Saved(stream=24, queries=16, neurons=16, scores=4),
    "bfloat16": Saved(stream=26, queries=8, neurons=8, scores=6),
}
MLP = Mlp(gate="mlp.gate_proj", up="mlp.up_proj", down="mlp.down_proj")


def sites(config: Any) -> Mapping[str, Tap | Missing]:
    """Where each site is; see Family."""
    return {
        "resid_pre": Tap(module="input_layernorm", side="in"),
        "resid_mid": Tap(module="post_attention_layernorm", side="in"),
        "resid_post": Tap(module="", side="out"),
        "attn_out": Tap(module="self_attn", side="out"),
        "mlp_out": Tap(module="mlp", side="out"),
        "mlp_act": Tap(module="mlp.down_proj", side="in"),
        "mlp_gate": Tap(module="mlp.act_fn", side="out"),
        "mlp_linear": Tap(module="mlp.up_proj", side="out"),
    }


def num_parameters(config: Any) -> tuple[int, int]:
    """Counts in closed form; see Family."""
    shape = read_shape(FIELDS, config)
    d, m = shape.d_model, shape.d_mlp
    query = shape.num_heads * shape.d_head
    key_value = 2 * shape.num_key_value_heads * shape.d_head
    attention = 2 * d * query + d * key_value
    mlp = 3 * d * m
    if shape.attention_bias:
        attention += query + key_value + d
    if shape.mlp_bias:
        mlp += 2 * m + d
    norms = 2 * d
    return shape.counts(shape.num_layers * (attention + mlp + norms) + d)


def hf_config(fields: Mapping[str, Any]) -> Any:
    """The transformers config for our fields; see Family."""
    from transformers import LlamaConfig

    return LlamaConfig(**hf_settings(FIELDS, fields))
