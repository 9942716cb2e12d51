"""Names of the files at the top of an activation store."""

from __future__ import annotations

INDEX = "store.json"
"""What was extracted: sites, layers, positions, missing sites, floors, number of units."""


PLAN = "token_plan.safetensors"
"""The tokens, and whose they are."""
