"""How does a pair of models become an activation store? Paired inputs, forward passes, units."""
