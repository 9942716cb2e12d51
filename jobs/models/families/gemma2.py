"""Gemma 2: a norm before and after attention and MLP, every other block with a sliding window.

Embeddings are scaled by the root of the width before the first block, and the norms after attention
and MLP stand before the addition: what is added to the stream is their output.
"""

from jobs.models.family import Saved
from jobs.models.llama_like import GemmaLike, llama_fields


class Gemma2(GemmaLike):
    """The block of `GemmaLike`, attention scores squashed by a tanh."""

    FIELDS = llama_fields(
        num_layers=26,
        d_model=2304,
        num_heads=8,
        num_key_value_heads=4,
        d_head=256,
        d_mlp=9216,
        vocab_size=256000,
        max_positions=8192,
        tie=True,
        attention_bias=False,
    )
    SAVED = {
        "float32": Saved(stream=40, queries=16, neurons=16, scores=8),
        "bfloat16": Saved(stream=42, queries=8, neurons=8, scores=8),
    }
    HF_CONFIG = "Gemma2Config"
    LACKS_KERNELS = ("sdpa",)
    """PyTorch's SDPA has no place for the tanh on attention scores."""
