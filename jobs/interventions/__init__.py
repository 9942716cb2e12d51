"""Changes to what a model computes while it runs, one per file; see `jobs/intervention.py`."""
