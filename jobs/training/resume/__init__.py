"""Checkpoints of a training run: what they hold, how they are written and continued from."""
