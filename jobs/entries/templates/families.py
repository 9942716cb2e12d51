"""Model family `my_entry`: models whose config.json says `"model_type": "my_entry"`.

The contract is jobs/models/family.py; docs/howto/adding-a-family.md says how to find these names.
Here they are those of LLaMA's block.
"""

from jobs.models.llama_like import LlamaLike, llama_fields


class MyEntry(LlamaLike):
    """The block of `LlamaLike`, as it is."""

    FIELDS = llama_fields(num_key_value_heads=8, d_mlp=11008, max_positions=4096)
    HF_CONFIG = "LlamaConfig"
