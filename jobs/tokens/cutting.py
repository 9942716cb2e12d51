"""Cuts a token plan: prompts and answers to their first tokens, or whole texts into windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.measurement import NUM_GROUPS
from jobs.tokens.plan import ANSWERS, TokenPlan


def keep_first_tokens(
    plan: TokenPlan, prompt_tokens: int | None, answer_tokens: int | None
) -> TokenPlan:
    """Keep the first tokens of every prompt and of its final answer.

    Args:
        plan: the prompts.
        prompt_tokens: most tokens before the final answer, a BOS included; None: all.
        answer_tokens: most tokens of the final answer; None: all.
    """
    if prompt_tokens is None and answer_tokens is None:
        return plan
    is_final = plan.segments == plan.final_segments[plan.owners]
    is_answer = is_final & np.isin(plan.roles, ANSWERS)
    num_before = np.bincount(plan.owners[~is_answer], minlength=len(plan.prompts))
    after = plan.within - num_before[plan.owners]  # place of a token of the answer within it
    kept = np.where(
        is_answer,
        after < (len(plan.token_ids) if answer_tokens is None else answer_tokens),
        plan.within < (len(plan.token_ids) if prompt_tokens is None else prompt_tokens),
    )
    lengths = np.bincount(plan.owners[kept], minlength=len(plan.prompts))
    return replace(
        plan,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        token_ids=plan.token_ids[kept],
        roles=plan.roles[kept],
        segments=plan.segments[kept],
    )


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
