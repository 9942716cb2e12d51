"""Snapshots of a training run: when they are taken, what is kept of each, how it is written."""
