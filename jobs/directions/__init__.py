"""Directions in the residual stream, by name; see `jobs/direction.py`."""
