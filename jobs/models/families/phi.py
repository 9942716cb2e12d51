"""Phi 1, 1.5 and 2: parallel blocks with one LayerNorm, rotary positions on part of a head."""

from collections.abc import Mapping

from cluster.errors import UserError
from jobs.models.family import Family, Mlp, Saved
from jobs.models.shape import ConfigField, ModelConfig, Shape, four_widths


class Phi(Family):
    """The parallel block of Phi, with one norm."""

    FIELDS = {
        "num_layers": ConfigField(name="num_hidden_layers", default=24),
        "d_model": ConfigField(name="hidden_size", default=2048),
        "num_heads": ConfigField(name="num_attention_heads", default=32),
        "num_key_value_heads": ConfigField(name="num_key_value_heads"),
        "d_mlp": ConfigField(name="intermediate_size", default=8192, from_width=four_widths),
        "vocab_size": ConfigField(name="vocab_size", default=51200),
        "max_positions": ConfigField(name="max_position_embeddings", default=2048),
        "tie": ConfigField(name="tie_word_embeddings", default=False),
        "qk_norm": ConfigField(name="qk_layernorm", default=False),
    }
    BLOCKS = "model.layers"
    FINAL_NORM = "model.final_layernorm"
    EMBEDDING = "model.embed_tokens"
    SAVED = {
        "float32": Saved(stream=26, neurons=20, scores=4),
        "bfloat16": Saved(stream=20, neurons=10, scores=6),
    }
    NORMS = ("input_layernorm", None)
    ADDED = ("self_attn", "mlp")
    MLP = Mlp(up="mlp.fc1", down="mlp.fc2")
    HF_CONFIG = "PhiConfig"

    def num_parameters(self, config: ModelConfig) -> tuple[int, int]:
        """Count parameters in closed form; the unembedding's bias counts as part of it."""
        shape = self.shape(config)
        d, m = shape.d_model, shape.d_mlp
        key_value = 2 * shape.num_key_value_heads * shape.d_head
        attention = 2 * d * d + 2 * d + d * key_value + key_value
        mlp = 2 * d * m + m + d
        norms = 2 * d + (4 * shape.d_head if shape.qk_norm else 0)
        total, inside = shape.counts(shape.num_layers * (attention + mlp + norms) + 2 * d)
        return total + shape.vocab_size, inside

    def hf_extras(self, shape: Shape) -> Mapping[str, object]:
        """Check that half a head, which rotary positions take, is a whole number of pairs."""
        if shape.d_head % 4:
            raise UserError(
                f"heads {shape.d_head} wide: half of a head must be an even number of entries",
                where="config of family phi",
                hint="choose d_model and num_heads so that d_model / num_heads is a multiple of 4",
            )
        return {}
