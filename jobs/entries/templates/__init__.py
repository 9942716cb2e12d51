"""What `deltascale new NAME --entry DOOR` writes: an entry of each door, and its test."""
