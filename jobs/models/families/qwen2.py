"""Qwen2 (and Qwen2.5): LLaMA's block with biases on query, key and value alone."""

from jobs.models.llama_like import LlamaLike, llama_fields


class Qwen2(LlamaLike):
    """The block of `LlamaLike` with biases on query, key and value."""

    FIELDS = llama_fields(
        num_layers=32,
        d_model=4096,
        num_heads=32,
        num_key_value_heads=32,
        d_head=None,
        d_mlp=22016,
        vocab_size=151936,
        max_positions=32768,
        tie=False,
    )
    HF_CONFIG = "Qwen2Config"
    QKV_BIASES = True
