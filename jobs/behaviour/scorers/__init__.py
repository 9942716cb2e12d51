"""Scorers of generated text, one per file."""
