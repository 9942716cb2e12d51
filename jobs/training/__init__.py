"""Training language models: what a run is trained towards, what carries it out, its health."""
