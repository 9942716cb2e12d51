"""Fills prompts up on the left with end-of-text tokens that count as text: position `legacy`.

Lee et al. 2024 average δ for their figure of value vectors over all positions of prompts that are
padded on the left with GPT-2's end of text, behind one more as BOS. Pads are tokens here: attended
to, numbered from 0, and averaged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cluster.errors import UserError
from jobs.tokens.plan import ROLES, TokenPlan


def fill_left(plan: TokenPlan, token: int, max_length: int) -> TokenPlan:
    """Put one `token` before every prompt, and before shorter ones as many as make them equal.

    Raises:
        UserError: the longest prompt leaves no room for one more token.
    """
    width = int(plan.lengths.max()) + 1
    if width > max_length:
        raise UserError(
            f"a prompt of {width - 1} tokens leaves no room for the token before it in "
            f"{max_length} positions",
            where="positions",
            hint="set prompt_tokens",
        )
    number = width - plan.lengths
    places = np.repeat(plan.offsets[:-1], number)
    return replace(
        plan,
        offsets=np.arange(len(plan.prompts) + 1, dtype=np.int64) * width,
        token_ids=np.insert(plan.token_ids, places, token),
        roles=np.insert(plan.roles, places, ROLES.index("bos")),
        segments=np.insert(plan.segments, places, -1),
    )
