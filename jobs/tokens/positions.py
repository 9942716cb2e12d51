"""Position policies: which rows of a token plan each one stands for, and which of them are kept.

`last` (the token before the final answer; the last token where there is none), `response` (tokens
of the final answer), `mean` (one row per prompt: the mean over its tokens without the first),
`all`, `all-but-first`, `turn` (last token of each user turn, labelled turn-1, turn-2, ...).
Markup of a chat template is no part of turns and answers; `last` is its last token before one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from jobs.tokens.plan import ANSWERS, ROLES, TokenPlan
from jobs.tokens.position_policy import Policy


@dataclass(frozen=True, kw_only=True, eq=False)
class Position:
    """The rows of one position label."""

    label: str
    """What the position column of a measurement says."""
    policy: Policy
    """The policy it comes from."""
    tokens: Bool[np.ndarray, " tokens"]
    """Tokens that are rows, or, when pooled, that are averaged into their prompt's row."""
    kept: Bool[np.ndarray, " tokens"]
    """Tokens whose row itself is stored, chosen by hash(prompt, position)."""
    pooled: bool
    """One row per prompt instead of one per token."""
    largest_group: int
    """Most rows that one prompt group has."""


def find_positions(plan: TokenPlan, policies: Sequence[Policy], num_kept: int) -> list[Position]:
    """Positions of these policies that have rows, in the order asked; `num_kept` rows kept of each.

    The kept rows are those of the smallest hashes, so that every model of a plan keeps the same.
    """
    found = []
    for policy in policies:
        for label, tokens in _marked(plan, policy):
            pooled = policy == "mean"
            owners = plan.owners[tokens]
            groups = plan.groups[np.unique(owners) if pooled else owners]
            if len(groups):
                kept = _kept(plan, tokens, pooled, num_kept)
                found.append(
                    Position(
                        label=label,
                        policy=policy,
                        tokens=tokens,
                        kept=kept,
                        pooled=pooled,
                        largest_group=int(np.bincount(groups).max()),
                    )
                )
    return found


def _marked(plan: TokenPlan, policy: Policy) -> Iterator[tuple[str, Bool[np.ndarray, " tokens"]]]:
    if policy == "last":
        yield policy, _last(plan)
    elif policy == "response":
        yield policy, _answer(plan)
    elif policy == "all":
        yield policy, np.ones(len(plan.token_ids), dtype=bool)
    elif policy in ("mean", "all-but-first"):
        yield policy, plan.within > 0
    else:
        yield from _turns(plan)


def _answer(plan: TokenPlan) -> Bool[np.ndarray, " tokens"]:
    """Tokens of the final segment of each prompt, where that is an answer."""
    final = plan.segments == plan.final_segments[plan.owners]
    return np.asarray(final & np.isin(plan.roles, ANSWERS))


def _last(plan: TokenPlan) -> Bool[np.ndarray, " tokens"]:
    """The token before the final answer; a prompt that starts with it has no such token."""
    answer = _answer(plan)
    ends = plan.offsets[1:].copy()
    first_answers = np.flatnonzero(answer)[::-1]
    ends[plan.owners[first_answers]] = first_answers
    marked = np.zeros(len(plan.token_ids), dtype=bool)
    marked[ends[ends > plan.offsets[:-1]] - 1] = True
    return marked


def _turns(plan: TokenPlan) -> Iterator[tuple[str, Bool[np.ndarray, " tokens"]]]:
    """Last token of the first, second, ... user segment."""
    place = plan.owners * (int(plan.segments.max()) + 2) + plan.segments
    ends = np.flatnonzero(np.append(place[1:] != place[:-1], True))
    ends = ends[plan.roles[ends] == ROLES.index("user")]
    owners = plan.owners[ends]
    starts = np.flatnonzero(np.append(True, owners[1:] != owners[:-1])) if len(ends) else ends
    turns = np.arange(len(ends)) - np.repeat(starts, np.diff(np.append(starts, len(ends))))
    for turn in range(int(turns.max()) + 1 if len(turns) else 0):
        marked = np.zeros(len(plan.token_ids), dtype=bool)
        marked[ends[turns == turn]] = True
        yield f"turn-{turn + 1}", marked


def _kept(
    plan: TokenPlan, tokens: Bool[np.ndarray, " tokens"], pooled: bool, num_kept: int
) -> Bool[np.ndarray, " tokens"]:
    """The tokens whose rows have the `num_kept` smallest hashes; of pooled rows, all tokens."""
    rows = np.flatnonzero(tokens)
    owners = plan.owners[rows]
    within = np.zeros_like(rows) if pooled else plan.within[rows]
    hashes = row_hash(plan.prompts[owners], within)
    smallest = np.unique(hashes)[:num_kept]
    kept = np.zeros(len(tokens), dtype=bool)
    kept[rows[np.isin(hashes, smallest)]] = True
    return kept


def row_hash(
    prompts: Int64[np.ndarray, " rows"], within: Int64[np.ndarray, " rows"]
) -> UInt64[np.ndarray, " rows"]:
    """A 64-bit hash of (prompt, position): two rounds of splitmix64 (Steele et al. 2014)."""
    return _mixed(_mixed(prompts.astype(np.uint64)) ^ within.astype(np.uint64))


def _mixed(value: UInt64[np.ndarray, " rows"]) -> UInt64[np.ndarray, " rows"]:
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(value ^ (value >> np.uint64(31)))
