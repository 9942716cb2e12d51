"""Published numbers, one source per file; its name is the name in studies. See reference.py."""
