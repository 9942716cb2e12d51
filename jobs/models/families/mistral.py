"""Mistral: LLaMA's block, sliding attention where its config says so; never a bias."""

from collections.abc import Mapping

from jobs.models.llama_like import LlamaLike, llama_fields
from jobs.models.shape import Shape


class Mistral(LlamaLike):
    """The block of `LlamaLike` without biases."""

    FIELDS = llama_fields(num_key_value_heads=8, d_mlp=14336, max_positions=131072)
    HF_CONFIG = "MistralConfig"

    def hf_extras(self, shape: Shape) -> Mapping[str, object]:
        """Let every token attend to all before it; transformers assumes a window."""
        return {"sliding_window": None}
