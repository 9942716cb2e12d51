"""`LlamaLike`: RMSNorm, rotary positions, a gated MLP and shared key-value heads, for six families.

`GemmaLike` adds a norm after attention and one after the MLP, both before the addition.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from jobs.models.family import Family, Mlp, Saved
from jobs.models.shape import ConfigField, ModelConfig, Shape, gated_width

_HF_NAMES = {
    "num_layers": "num_hidden_layers",
    "d_model": "hidden_size",
    "num_heads": "num_attention_heads",
    "d_head": "head_dim",
    "d_mlp": "intermediate_size",
    "max_positions": "max_position_embeddings",
    "tie": "tie_word_embeddings",
}
"""Our fields that transformers calls otherwise."""


_LLAMA: Mapping[str, int | bool | None] = dict(
    num_layers=32, d_model=4096, num_heads=32, d_head=None, vocab_size=32000, tie=False
)
"""What transformers assumes of LLaMA's block, unless a family says otherwise; None: derived."""


def llama_fields(**differences: int | bool | None) -> dict[str, ConfigField]:
    """Declare the fields of a family, with the defaults in which it differs from LLaMA."""
    return {
        name: ConfigField(
            name=_HF_NAMES.get(name, name),
            default=default,
            from_width=gated_width if name == "d_mlp" else None,
        )
        for name, default in {**_LLAMA, **differences}.items()
    }


QWEN: Mapping[str, int | bool | None] = dict(
    num_key_value_heads=32, d_mlp=22016, vocab_size=151936, max_positions=32768
)
"""What transformers assumes of Qwen's block, where LLaMA's differs."""
GEMMA: Mapping[str, int | bool | None] = dict(
    num_layers=26,
    d_model=2304,
    num_heads=8,
    num_key_value_heads=4,
    d_head=256,
    d_mlp=9216,
    tie=True,
)
"""What transformers assumes of Gemma's block: the 2 B model's sizes."""


class LlamaLike(Family):
    """A family whose block is LLaMA's; entries say what differs."""

    BLOCKS = "model.layers"
    FINAL_NORM = "model.norm"
    EMBEDDING = "model.embed_tokens"
    SAVED: ClassVar[Mapping[str, Saved]] = {
        "float32": Saved(stream=24, queries=16, neurons=16, scores=4),
        "bfloat16": Saved(stream=26, queries=8, neurons=8, scores=6),
    }
    NORMS = ("input_layernorm", "post_attention_layernorm")
    ADDED: ClassVar[tuple[str, str]] = ("self_attn", "mlp")
    MLP = Mlp(gate="mlp.gate_proj", activation="mlp.act_fn", up="mlp.up_proj", down="mlp.down_proj")
    NUM_NORMS: ClassVar[int] = 2
    """Norms of a block that are as wide as the residual stream."""
    NORMS_HEADS: ClassVar[bool] = False
    """True when every query and key head is normed."""
    QKV_BIASES: ClassVar[bool] = False
    """True when query, key and value always have biases, and the output projection none."""

    def num_parameters(self, config: ModelConfig) -> tuple[int, int]:
        """Count parameters in closed form."""
        shape = self.shape(config)
        d, m = shape.d_model, shape.d_mlp
        query = shape.num_heads * shape.d_head
        key_value = 2 * shape.num_key_value_heads * shape.d_head
        attention = 2 * d * query + d * key_value
        if self.QKV_BIASES or shape.attention_bias:
            attention += query + key_value
        if shape.attention_bias:
            attention += d
        mlp = 3 * d * m + (2 * m + d if shape.mlp_bias else 0)
        norms = self.NUM_NORMS * d + (2 * shape.d_head if self.NORMS_HEADS else 0)
        return shape.counts(shape.num_layers * (attention + mlp + norms) + d)


class GemmaLike(LlamaLike):
    """A family that norms what attention and the MLP add to the residual stream."""

    NORMS = ("input_layernorm", "pre_feedforward_layernorm")
    ADDED = ("post_attention_layernorm", "post_feedforward_layernorm")
    """Norms, whose outputs are added."""
    MLP = replace(LlamaLike.MLP, gain="post_feedforward_layernorm")
    NUM_NORMS = 4

    def hf_extras(self, shape: Shape) -> Mapping[str, object]:
        """Divide scores by the root of d_head, as elsewhere; transformers assumes 256."""
        return {"query_pre_attn_scalar": shape.d_head}
