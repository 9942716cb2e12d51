"""What is a machine like, as far as jobs depend on it? Looks at one node or at many."""
