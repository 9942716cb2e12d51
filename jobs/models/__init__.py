"""Checkpoints: shapes, folders in the hub's layout, loading, the hub itself."""
