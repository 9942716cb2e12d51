"""`OutputTokens`: the tokens that come after prompts, and the token that each is predicted from.

A prompt's own answer where it has one, teacher-forced; else the model's greedy continuation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from jobs.behaviour.decoding import decode
from jobs.models.language_model import LanguageModel
from jobs.tokens.plan import ROLES, TokenPlan
from jobs.tokens.positions import find_positions

_RESPONSE = ROLES.index("response")


@dataclass(frozen=True, kw_only=True, eq=False)
class OutputTokens:
    """Prompts with the tokens that come after them."""

    plan: TokenPlan
    """Prompts and answers as tokens."""
    after: Int64[np.ndarray, " outputs"]
    """Index in the plan of the token before each output, ascending."""
    numbers: Int64[np.ndarray, " outputs"]
    """Number of each output within its prompt, from 1."""
    num_generated: int
    """Number of prompts without an answer of their own."""


def find_output_tokens(
    model: LanguageModel,
    plan: TokenPlan,
    most: int,
    *,
    token_budget: int,
    after_batch: Callable[[int], None] = lambda num_done: None,
) -> OutputTokens:
    """Find the first outputs of every prompt, at most `most` of each.

    Every token of an answer is an output; of a continuation, the end of the text is one, too.

    Args:
        model: continues prompts without an answer by its likeliest tokens.
        plan: the prompts; each must leave room for `most` tokens.
        most: most outputs of a prompt.
        token_budget: most tokens forwarded together, padding and continuations included.
        after_batch: called with the number of prompts that were continued.
    """
    answers = _answer_lengths(plan)
    ends = _prompt_ends(plan)
    unanswered = np.flatnonzero((answers == 0) & (ends >= 0))
    generated: list[list[int]] = [[] for _ in unanswered]
    if most > 1 and len(unanswered):  # the last output is predicted, never read
        prompts = [plan.token_ids[plan.offsets[i] : ends[i] + 1].tolist() for i in unanswered]
        generated = decode(
            model, prompts, most - 1, token_budget=token_budget, after_batch=after_batch
        )
    counts = np.where(ends >= 0, np.minimum(answers, most), 0)
    counts[unanswered] = [len(tokens) + 1 for tokens in generated]
    answered_plan = append_answers(plan, unanswered, generated)
    starts = ends + (answered_plan.offsets - plan.offsets)[:-1]
    numbers = np.concatenate([np.arange(count) for count in counts])
    return OutputTokens(
        plan=answered_plan,
        after=np.repeat(starts, counts) + numbers,
        numbers=numbers + 1,
        num_generated=len(unanswered),
    )


def has_answer(plan: TokenPlan) -> Bool[np.ndarray, " prompts"]:
    """Mark the prompts that bring an answer of their own."""
    return np.asarray(_answer_lengths(plan) > 0)


def append_answers(
    plan: TokenPlan, prompts: Int64[np.ndarray, " some"], answers: Sequence[Sequence[int]]
) -> TokenPlan:
    """Append token ids to some prompts of a plan, each as an answer.

    Args:
        plan: the prompts.
        prompts: indices of prompts, ascending.
        answers: token ids for each of them.
    """
    num_added = np.zeros(len(plan.prompts), dtype=np.int64)
    num_added[prompts] = [len(tokens) for tokens in answers]
    places = np.repeat(plan.offsets[1:][prompts], num_added[prompts])
    final = plan.final_segments.copy()
    final[prompts[num_added[prompts] > 0]] += 1
    token_ids = [token for tokens in answers for token in tokens]
    return TokenPlan(
        prompts=plan.prompts,
        groups=plan.groups,
        offsets=plan.offsets + np.concatenate([[0], np.cumsum(num_added)]),
        token_ids=np.insert(plan.token_ids, places, token_ids),
        roles=np.insert(plan.roles, places, _RESPONSE),
        segments=np.insert(plan.segments, places, np.repeat(final[prompts], num_added[prompts])),
        final_segments=final,
    )


def _answer_lengths(plan: TokenPlan) -> Int64[np.ndarray, " prompts"]:
    answers = find_positions(plan, ["response"], 0)
    if not answers:
        return np.zeros(len(plan.prompts), dtype=np.int64)
    return np.bincount(plan.owners[answers[0].tokens], minlength=len(plan.prompts))


def _prompt_ends(plan: TokenPlan) -> Int64[np.ndarray, " prompts"]:
    """Find the token before the answer of each prompt; -1 where there is none."""
    ends = np.full(len(plan.prompts), -1)
    for last in find_positions(plan, ["last"], 0):
        tokens = np.flatnonzero(last.tokens)
        ends[plan.owners[tokens]] = tokens
    return ends
