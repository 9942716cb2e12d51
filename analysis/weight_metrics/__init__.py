"""Metrics of weights, one per file; the file name is the name of the first value it reports."""
