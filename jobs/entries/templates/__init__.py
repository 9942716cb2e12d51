"""What `deltascale new --entry` writes: an entry of each door, and its test."""
