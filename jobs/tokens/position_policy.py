"""Names of the position policies: which tokens of a prompt give rows. Imports nothing heavy."""

from typing import Literal

Policy = Literal["last", "response", "mean", "all", "all-but-first", "turn"]
"""See `positions.py` for what each stands for."""

DEFAULT: tuple[Policy, ...] = ("last", "response")
"""Where neither the params nor the prompts say anything."""
