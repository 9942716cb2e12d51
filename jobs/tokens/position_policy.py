"""Names of the position policies: which tokens of a prompt give rows. Light enough for a plan."""

from typing import Literal

Policy = Literal["last", "response", "mean", "all", "all-but-first", "turn", "legacy"]
"""`positions.py` defines each."""

DEFAULT: tuple[Policy, ...] = ("last", "response")
"""The policies of an extraction where neither its params nor its prompts name any."""

POOLED: tuple[Policy, ...] = ("mean", "legacy")
"""The policies with one row per prompt, averaged over tokens."""

WITHOUT_MARKUP: tuple[Policy, ...] = ("mean", "all", "all-but-first")
"""The policies over whole prompts, from which the markup of a chat template is left out."""
