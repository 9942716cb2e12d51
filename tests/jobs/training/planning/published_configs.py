"""Configs of published models, in our fields."""

_LLAMA_SHAPE = {"num_layers": 32, "d_model": 4096, "num_heads": 32, "num_key_value_heads": 8}
_LLAMA_SHAPE |= {"d_mlp": 14336}
MISTRAL_7B = {"family": "mistral", "vocab_size": 32768, "max_positions": 32768, **_LLAMA_SHAPE}
LLAMA_8B = {"family": "llama", "vocab_size": 128256, "tie": False, **_LLAMA_SHAPE}
