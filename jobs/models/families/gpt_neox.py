"""GPT-NeoX (Pythia): LayerNorm, rotary positions, GELU, biases, usually parallel blocks."""

from collections.abc import Mapping

from jobs.models.family import PARALLEL, Family, Missing, Mlp, Saved, Tap
from jobs.models.shape import ConfigField, ModelConfig, four_widths


class GptNeox(Family):
    """The block of GPT-NeoX, serial or parallel by a flag of the config."""

    FIELDS = {
        "num_layers": ConfigField(name="num_hidden_layers", default=44),
        "d_model": ConfigField(name="hidden_size", default=6144),
        "num_heads": ConfigField(name="num_attention_heads", default=64),
        "d_mlp": ConfigField(name="intermediate_size", default=24576, from_width=four_widths),
        "vocab_size": ConfigField(name="vocab_size", default=50432),
        "max_positions": ConfigField(name="max_position_embeddings", default=2048),
        "tie": ConfigField(name="tie_word_embeddings", default=False),
        "parallel": ConfigField(name="use_parallel_residual", default=True),
        "attention_bias": ConfigField(name="attention_bias", default=True),
    }
    BLOCKS = "gpt_neox.layers"
    FINAL_NORM = "gpt_neox.final_layer_norm"
    EMBEDDING = "gpt_neox.embed_in"
    HEADS = ("embed_out", "lm_head")
    SAVED = {
        "float32": Saved(stream=40, neurons=8, scores=4),
        "bfloat16": Saved(stream=22, neurons=4, scores=6),
    }
    NORMS = ("input_layernorm", "post_attention_layernorm")
    ADDED = ("post_attention_dropout", "post_mlp_dropout")
    MLP = Mlp(up="mlp.dense_h_to_4h", down="mlp.dense_4h_to_h")
    HF_CONFIG = "GPTNeoXConfig"

    def sites(self, config: ModelConfig) -> Mapping[str, Tap | Missing]:
        """Return the place of every site: a parallel block has no middle."""
        sites = super().sites(config)
        return {**sites, "resid_mid": PARALLEL} if self.shape(config).parallel else sites

    def num_parameters(self, config: ModelConfig) -> tuple[int, int]:
        """Count parameters in closed form."""
        shape = self.shape(config)
        d, m = shape.d_model, shape.d_mlp
        attention = 4 * d * d + (4 * d if shape.attention_bias else 0)
        mlp = 2 * d * m + m + d
        norms = 4 * d
        return shape.counts(shape.num_layers * (attention + mlp + norms) + 2 * d)
