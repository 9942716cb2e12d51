"""Executors, one per file; the file name is the name used on the command line."""
