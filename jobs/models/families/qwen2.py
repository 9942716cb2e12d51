"""Qwen2 (and Qwen2.5): LLaMA's block with biases on query, key and value alone."""

from jobs.models.llama_like import QWEN, LlamaLike, llama_fields


class Qwen2(LlamaLike):
    """The block of `LlamaLike` with biases on query, key and value."""

    FIELDS = llama_fields(**QWEN)
    HF_CONFIG = "Qwen2Config"
    QKV_BIASES = True
