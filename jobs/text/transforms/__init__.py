"""Prompt transforms, one per file; the file name is the name used in study files."""
