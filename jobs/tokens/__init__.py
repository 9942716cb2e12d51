"""Token plans: what both models of a pair see, in which batches, and which positions count."""
