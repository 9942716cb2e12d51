"""Qwen3: LLaMA's block with a norm on every query and key head and heads of their own width."""

from jobs.models.family import Saved
from jobs.models.llama_like import QWEN, LlamaLike, llama_fields


class Qwen3(LlamaLike):
    """The block of `LlamaLike` with normed heads."""

    FIELDS = llama_fields(**QWEN, d_head=128, attention_bias=False)
    SAVED = {
        "float32": Saved(stream=24, queries=24, key_values=8, neurons=16, scores=4),
        "bfloat16": Saved(stream=26, queries=14, key_values=6, neurons=8, scores=6),
    }
    HF_CONFIG = "Qwen3Config"
    NORMS_HEADS = True
