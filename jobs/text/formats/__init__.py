"""Data formats, one per file; the file name is the name used in study files."""
