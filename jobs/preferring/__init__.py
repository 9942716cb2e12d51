"""What did training achieve? Preferences, displacement and divergence of a model from its base."""
