"""Means: moments, metrics, intervals, fits, tables and figures; pure functions of numbers."""
