"""Training objectives, one class per file; the contract is `objective.py`."""
