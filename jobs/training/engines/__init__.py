"""Engines: what carries out a training run on its ranks, one per file; contract in `engine.py`."""
