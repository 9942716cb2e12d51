"""Signs of life of an attempt: what each of its ranks is at, and its stacks when asked for."""
