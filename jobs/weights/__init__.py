"""What the weights of a base and an aligned model say, without running either."""
