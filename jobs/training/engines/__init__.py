"""What carries out a training run on its ranks, one class per file; contract in `engine.py`."""
