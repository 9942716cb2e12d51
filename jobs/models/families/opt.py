"""OPT: LayerNorm, learned positions, ReLU; narrow embeddings and norms after the addition exist.

The MLP is no module of its own, and the block flattens batch and width before it.
"""

from collections.abc import Mapping

from jobs.models.family import STREAM_SITES, Family, Missing, Mlp, Saved, Tap
from jobs.models.shape import ConfigField, ModelConfig, Shape, as_mapping, four_widths

_POST_NORM = Missing(
    reason="the norms stand after the additions (OPT-350m): no residual stream passes the blocks"
)


class Opt(Family):
    """The block of OPT, its MLP without a module of its own."""

    FIELDS = {
        "num_layers": ConfigField(name="num_hidden_layers", default=12),
        "d_model": ConfigField(name="hidden_size", default=768),
        "num_heads": ConfigField(name="num_attention_heads", default=12),
        "d_mlp": ConfigField(name="ffn_dim", default=3072, from_width=four_widths),
        "vocab_size": ConfigField(name="vocab_size", default=50272),
        "max_positions": ConfigField(name="max_position_embeddings", default=2048),
        "tie": ConfigField(name="tie_word_embeddings", default=True),
        "attention_bias": ConfigField(name="enable_bias", default=True),
        "norm_weights": ConfigField(name="layer_norm_elementwise_affine", default=True),
        "pre_norm": ConfigField(name="do_layer_norm_before", default=True),
        "d_embedding": ConfigField(name="word_embed_proj_dim"),
    }
    """attention_bias is the one flag of the biases of attention and MLP alike."""
    BLOCKS = "model.decoder.layers"
    FINAL_NORM = "model.decoder.final_layer_norm"
    EMBEDDING = "model.decoder.embed_tokens"
    PROJECTION = "model.decoder.project_out"
    SAVED = {
        "float32": Saved(stream=32, neurons=4, scores=4),
        "bfloat16": Saved(stream=24, neurons=2, scores=6),
    }
    NORMS = ("self_attn_layer_norm", "final_layer_norm")
    ADDED = ("self_attn", "fc2")
    MLP = Mlp(up="fc1", down="fc2")
    HF_CONFIG = "OPTConfig"
    POSITIONS_OFFSET = 2
    """Rows of the position table that no position uses."""

    def sites(self, config: ModelConfig) -> Mapping[str, Tap | Missing]:
        """Return the place of every site; without a residual stream, of the neurons alone."""
        sites = super().sites(config)
        if self.shape(config).pre_norm:
            return sites
        return {**sites, **dict.fromkeys(STREAM_SITES, _POST_NORM)}

    def num_parameters(self, config: ModelConfig) -> tuple[int, int]:
        """Count parameters in closed form."""
        shape = self.shape(config)
        d, m = shape.d_model, shape.d_mlp
        attention = 4 * d * d
        mlp = 2 * d * m
        if shape.attention_bias:
            attention += 4 * d
            mlp += m + d
        norm = 2 * d if shape.norm_weights else 0
        inside = shape.num_layers * (attention + mlp + 2 * norm)
        # A flag of checkpoints from before the norm after the last block was found missing.
        if shape.pre_norm and not as_mapping(config).get("_remove_final_layer_norm"):
            inside += norm
        if shape.d_embedding not in (None, d):
            inside += 2 * d * shape.d_embedding
        return shape.counts(inside, positions=shape.max_positions + self.POSITIONS_OFFSET)

    def hf_extras(self, shape: Shape) -> Mapping[str, object]:
        """Turn dropout off."""
        return {"dropout": 0.0}
