"""LoRA adapters in training: their params, the base that they freeze, saving and merging."""
