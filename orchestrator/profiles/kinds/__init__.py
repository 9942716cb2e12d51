"""Kinds of profiles, one per file: `kinds/NAME.py`. Contract: `orchestrator/profiles/kind.py`."""
