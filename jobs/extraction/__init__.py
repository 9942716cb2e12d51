"""How does a pair of models become an activation store? Pairing, passes, units, noise floor."""
