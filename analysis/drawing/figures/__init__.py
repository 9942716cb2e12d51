"""Figures, one idea per file. What they share is in figure.py."""
