"""Cuts the texts of a token plan into windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.measurement import NUM_GROUPS
from jobs.tokens.plan import TokenPlan


def cut_windows(plan: TokenPlan, width: int) -> TokenPlan:
    """Cut every text into windows of `width` tokens, the last of each as long as is left.

    A window is a prompt of its own, numbered through; windows that follow each other share a group,
    so that no group's neighbour on both sides of a border is another's.
    """
    starts = np.flatnonzero(plan.within % width == 0)
    number = np.arange(len(starts))
    return replace(
        plan,
        prompts=number,
        groups=number * NUM_GROUPS // len(starts),
        offsets=np.append(starts, len(plan.token_ids)).astype(np.int64),
        final_segments=plan.final_segments[plan.owners[starts]],
    )
