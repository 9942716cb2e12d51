"""GPT-2: LayerNorm, learned positions, GELU, biases everywhere, tied embeddings."""

from collections.abc import Mapping

from jobs.models.family import Family, Mlp, Saved
from jobs.models.shape import ConfigField, ModelConfig, Shape, four_widths


class Gpt2(Family):
    """GPT-2's block."""

    FIELDS = {
        "num_layers": ConfigField(name="n_layer", default=12, also="num_hidden_layers"),
        "d_model": ConfigField(name="n_embd", default=768, also="hidden_size"),
        "num_heads": ConfigField(name="n_head", default=12, also="num_attention_heads"),
        "d_mlp": ConfigField(name="n_inner", from_width=four_widths),
        "vocab_size": ConfigField(name="vocab_size", default=50257),
        "max_positions": ConfigField(
            name="n_positions", default=1024, also="max_position_embeddings"
        ),
        "tie": ConfigField(name="tie_word_embeddings", default=True),
    }
    BLOCKS = "transformer.h"
    FINAL_NORM = "transformer.ln_f"
    EMBEDDING = "transformer.wte"
    SAVED = {
        "float32": Saved(stream=32, neurons=20, scores=4),
        "bfloat16": Saved(stream=20, neurons=10, scores=6),
    }
    NORMS = ("ln_1", "ln_2")
    ADDED = ("attn", "mlp")
    MLP = Mlp(up="mlp.c_fc", down="mlp.c_proj", inputs_first=True)
    HF_CONFIG = "GPT2Config"

    def num_parameters(self, config: ModelConfig) -> tuple[int, int]:
        """Count parameters in closed form."""
        shape = self.shape(config)
        d, m = shape.d_model, shape.d_mlp
        attention = 4 * d * d + 4 * d
        mlp = 2 * d * m + m + d
        norms = 4 * d
        inside = shape.num_layers * (attention + mlp + norms) + 2 * d
        return shape.counts(inside, positions=shape.max_positions)

    def hf_extras(self, shape: Shape) -> Mapping[str, object]:
        """Turn dropout off."""
        return {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
