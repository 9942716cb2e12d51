"""Pairs that a model writes itself: what it says, and what it says when it is pushed."""
