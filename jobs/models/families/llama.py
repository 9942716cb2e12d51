"""LLaMA: RMSNorm, rotary positions, gated SiLU, grouped key-value heads; no biases by default."""

from jobs.models.llama_like import LlamaLike, llama_fields


class Llama(LlamaLike):
    """The block of `LlamaLike` as it is."""

    FIELDS = llama_fields(
        num_key_value_heads=None,
        d_mlp=11008,
        max_positions=2048,
        attention_bias=False,
        mlp_bias=False,
    )
    HF_CONFIG = "LlamaConfig"
