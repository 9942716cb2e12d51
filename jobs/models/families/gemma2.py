"""Gemma 2: a norm before and after attention and MLP, every other block with a sliding window.

Embeddings are scaled by the root of the width before the first block, and the norms after attention
and MLP stand before the addition: what is added to the stream is their output.
"""

from jobs.models.family import Saved
from jobs.models.llama_like import GEMMA, GemmaLike, llama_fields


class Gemma2(GemmaLike):
    """The block of `GemmaLike`, attention scores squashed by a tanh."""

    FIELDS = llama_fields(**GEMMA, vocab_size=256000, max_positions=8192, attention_bias=False)
    SAVED = {
        "float32": Saved(stream=40, queries=16, neurons=16, scores=8),
        "bfloat16": Saved(stream=42, queries=8, neurons=8, scores=8),
    }
    HF_CONFIG = "Gemma2Config"
    LACKS_KERNELS = ("sdpa",)
    """PyTorch's SDPA has no place for the tanh on attention scores."""
