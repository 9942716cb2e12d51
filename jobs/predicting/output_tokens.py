"""`Outputs`: the tokens that are said after prompts, and which token each of them comes after.

A prompt's own answer where it has one, teacher-forced; else what a model goes on with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from jobs.behaviour.decoding import decode
from jobs.tokens.plan import ROLES, TokenPlan
from jobs.tokens.positions import find_positions

_SAID = ROLES.index("response")


@dataclass(frozen=True, kw_only=True, eq=False)
class OutputTokens:
    """Prompts with what is said after them."""

    plan: TokenPlan
    """Both as tokens."""
    after: Int64[np.ndarray, " outputs"]
    """The token of the plan that each output comes after, ascending."""
    numbers: Int64[np.ndarray, " outputs"]
    """Which output of its prompt it is, from 1."""
    num_generated: int
    """Prompts that had no answer of their own."""


def find_output_tokens(
    model: Any,
    plan: TokenPlan,
    most: int,
    *,
    token_budget: int,
    after_batch: Callable[[int], None] = lambda done: None,
) -> OutputTokens:
    """The first outputs of every prompt, `most` at most.

    Of an answer each token is one; where the model goes on, so is the end of the text, if it comes.

    Args:
        model: goes on where a prompt has no answer, with its likeliest tokens.
        plan: the prompts; each must leave room for `most` tokens.
        most: outputs of a prompt.
        token_budget: most tokens forwarded together, padding and continuations included.
        after_batch: told how many prompts were continued.
    """
    answers = _answer_lengths(plan)
    ends = _ends(plan)
    silent = np.flatnonzero((answers == 0) & (ends >= 0))
    said: list[list[int]] = [[] for _ in silent]
    if most > 1 and len(silent):  # the last output is predicted, never read
        prompts = [plan.token_ids[plan.offsets[i] : ends[i] + 1].tolist() for i in silent]
        said = decode(model, prompts, most - 1, token_budget=token_budget, after_batch=after_batch)
    counts = np.where(ends >= 0, np.minimum(answers, most), 0)
    counts[silent] = [len(each) + 1 for each in said]
    longer = append_answers(plan, silent, said)
    starts = ends + (longer.offsets - plan.offsets)[:-1]
    numbers = np.concatenate([np.arange(count) for count in counts])
    return OutputTokens(
        plan=longer,
        after=np.repeat(starts, counts) + numbers,
        numbers=numbers + 1,
        num_generated=len(silent),
    )


def has_answer(plan: TokenPlan) -> Bool[np.ndarray, " prompts"]:
    """Prompts that bring an answer of their own."""
    return np.asarray(_answer_lengths(plan) > 0)


def append_answers(
    plan: TokenPlan, which: Int64[np.ndarray, " some"], said: Sequence[Sequence[int]]
) -> TokenPlan:
    """The plan with tokens put behind some of its prompts, as an answer of its own."""
    added = np.zeros(len(plan.prompts), dtype=np.int64)
    added[which] = [len(each) for each in said]
    places = np.repeat(plan.offsets[1:][which], added[which])
    final = plan.final_segments.copy()
    final[which[added[which] > 0]] += 1
    flat = [token for each in said for token in each]
    return TokenPlan(
        prompts=plan.prompts,
        groups=plan.groups,
        offsets=plan.offsets + np.concatenate([[0], np.cumsum(added)]),
        token_ids=np.insert(plan.token_ids, places, flat),
        roles=np.insert(plan.roles, places, _SAID),
        segments=np.insert(plan.segments, places, np.repeat(final[which], added[which])),
        final_segments=final,
    )


def _answer_lengths(plan: TokenPlan) -> Int64[np.ndarray, " prompts"]:
    answers = find_positions(plan, ["response"], 0)
    if not answers:
        return np.zeros(len(plan.prompts), dtype=np.int64)
    return np.bincount(plan.owners[answers[0].tokens], minlength=len(plan.prompts))


def _ends(plan: TokenPlan) -> Int64[np.ndarray, " prompts"]:
    """The token before the answer of each prompt; -1 where nothing stands before it."""
    found = np.full(len(plan.prompts), -1)
    for last in find_positions(plan, ["last"], 0):
        tokens = np.flatnonzero(last.tokens)
        found[plan.owners[tokens]] = tokens
    return found
