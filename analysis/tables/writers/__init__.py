"""Table formats, one per file; the file name is the format name. Contract in writer.py."""
