"""Verbs of the command line, one per file; the file name is the verb."""
