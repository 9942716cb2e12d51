"""Directions in the residual stream, by name; see `jobs/generation/direction.py`."""
