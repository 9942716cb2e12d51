"""Does: turns the inputs of one job into its artifact."""
