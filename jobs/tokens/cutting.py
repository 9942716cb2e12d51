"""Cuts the texts of a token plan into windows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Int64

from analysis.measurement import NUM_GROUPS
from jobs.tokens.plan import ROLES, TokenPlan

_BOS = ROLES.index("bos")


def cut_windows(plan: TokenPlan, width: int) -> TokenPlan:
    """Cut every text into windows of `width` tokens, the last of each as long as is left.

    Where a text begins with a BOS, so does each of its windows: models that were trained on
    nothing else (Gemma) have far too high a loss without. A window is a prompt of its own, numbered
    through; windows that follow each other share a group, so that no group's neighbour on both
    sides of a border is another's.
    """
    windows: list[Int64[np.ndarray, " _"]] = []
    texts: list[int] = []
    for text, (start, stop) in enumerate(pairwise(plan.offsets.tolist())):
        first = start + int(np.cumprod(plan.roles[start:stop] == _BOS).sum())
        opening, step = np.arange(start, first), max(width - (first - start), 1)
        for at in range(first, stop, step) or (first,):
            windows.append(np.append(opening, np.arange(at, min(at + step, stop))))
            texts.append(text)
    tokens = np.concatenate([np.zeros(0, dtype=np.int64), *windows])
    number = np.arange(len(windows))
    return TokenPlan(
        prompts=number,
        groups=number * NUM_GROUPS // max(len(windows), 1),
        offsets=np.append(0, np.cumsum([len(window) for window in windows], dtype=np.int64)),
        token_ids=plan.token_ids[tokens],
        roles=plan.roles[tokens],
        segments=plan.segments[tokens],
        final_segments=plan.final_segments[np.array(texts, dtype=np.int64)],
    )
