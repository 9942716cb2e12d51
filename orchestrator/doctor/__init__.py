"""Is this cluster fit to run on? Checks, one per file, and what to do about what they find."""
