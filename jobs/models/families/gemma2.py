"""Gemma 2: a norm before and after attention and MLP, every other block with a sliding window.

Embeddings are scaled by the root of the width before the first block, and the norms after attention
and MLP stand before the addition: what is added to the stream is their output.
"""

from collections.abc import Mapping
from typing import Any

from jobs.models.family import Missing, Mlp, Saved, Tap
from jobs.models.shape import ConfigField, gated_width, hf_settings, read_shape

FIELDS = {
    "num_layers": ConfigField(name="num_hidden_layers", default=26),
    "d_model": ConfigField(name="hidden_size", default=2304),
    "num_heads": ConfigField(name="num_attention_heads", default=8),
    "num_key_value_heads": ConfigField(name="num_key_value_heads", default=4),
    "d_head": ConfigField(name="head_dim", default=256),
    "d_mlp": ConfigField(name="intermediate_size", default=9216, from_width=gated_width),
    "vocab_size": ConfigField(name="vocab_size", default=256000),
    "max_positions": ConfigField(name="max_position_embeddings", default=8192),
    "tie": ConfigField(name="tie_word_embeddings", default=True),
    "attention_bias": ConfigField(name="attention_bias", default=False),
}
BLOCKS = "model.layers"
FINAL_NORM = "model.norm"
EMBEDDING = "model.embed_tokens"
SAVED = {
    "float32": Saved(stream=40, queries=16, neurons=16, scores=8),
    "bfloat16": Saved(stream=42, queries=8, neurons=8, scores=8),
}
MLP = Mlp(
    gate="mlp.gate_proj",
    up="mlp.up_proj",
    down="mlp.down_proj",
    gain="post_feedforward_layernorm",
)
LACKS_KERNELS = ("sdpa",)
"""It squashes attention scores by a tanh, for which PyTorch's SDPA has no place."""


def sites(config: Any) -> Mapping[str, Tap | Missing]:
    """Where each site is; see Family."""
    return {
        "resid_pre": Tap(module="input_layernorm", side="in"),
        "resid_mid": Tap(module="pre_feedforward_layernorm", side="in"),
        "resid_post": Tap(module="", side="out"),
        "attn_out": Tap(module="post_attention_layernorm", side="out"),
        "mlp_out": Tap(module="post_feedforward_layernorm", side="out"),
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
    norms = 4 * d
    return shape.counts(shape.num_layers * (attention + mlp + norms) + d)


def hf_config(fields: Mapping[str, Any]) -> Any:
    """The transformers config for our fields; see Family.

    Scores are divided by the root of d_head, as everywhere; transformers assumes 256.
    """
    from transformers import Gemma2Config

    d_head = read_shape(FIELDS, fields).d_head
    return Gemma2Config(**hf_settings(FIELDS, fields, query_pre_attn_scalar=d_head))
