"""Looks, one per file: `look(asked)` runs in a process of its own on the machine it looks at."""
