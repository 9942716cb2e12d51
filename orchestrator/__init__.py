"""Decides: reads a study, plans its jobs, dispatches them, remembers what happened."""
