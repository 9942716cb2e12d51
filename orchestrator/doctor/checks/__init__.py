"""Checks of the place where jobs are to run, one per file."""
