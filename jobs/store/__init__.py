"""How do activations and weights lie on disk? Shards, units, indexes, tensors of checkpoints."""
