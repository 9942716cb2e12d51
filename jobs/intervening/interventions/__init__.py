"""Changes to what a running model computes, one per file; contract in `intervention.py`."""
