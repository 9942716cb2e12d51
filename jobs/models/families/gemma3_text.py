"""Gemma 3, text alone (270M, 1B, and the text model inside the larger ones).

Gemma 2's block with a norm on every query and key head, and no soft cap; five of six blocks have a
sliding window. Checkpoints that also see images have the model_type `gemma3`: their text model has
to be saved alone first (docs/howto/adding-a-family.md).
"""

from jobs.models.family import Saved
from jobs.models.llama_like import GEMMA, GemmaLike, llama_fields


class Gemma3Text(GemmaLike):
    """The block of `GemmaLike` with normed heads."""

    FIELDS = llama_fields(**GEMMA, vocab_size=262208, max_positions=131072, attention_bias=False)
    SAVED = {
        "float32": Saved(stream=40, queries=24, key_values=8, neurons=16, scores=4),
        "bfloat16": Saved(stream=42, queries=16, key_values=8, neurons=8, scores=6),
    }
    HF_CONFIG = "Gemma3TextConfig"
    NORMS_HEADS = True
