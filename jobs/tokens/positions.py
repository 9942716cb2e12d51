"""Position policies: which tokens of a plan give rows, and which of the rows are stored.

`last` (the token before the final answer; the last token where there is none), `response` (tokens
of the final answer), `mean` (one row per prompt: the mean over its tokens without the first),
`all`, `all-but-first`, `turn` (last token of each user turn, labelled turn-1, turn-2, ...),
`response-k` (the k-th token of the final answer, from 0, at its own place: of k tokens and itself
the model has read it; `last` is one before `response-0`, and all of them together are `response`),
`response-depths` (those of ANSWER_DEPTHS),
`legacy` (one row per prompt: the mean over all tokens, the first and those of a left fill included,
as in Lee et al. 2024; `left_fill.py`).
Markup of a chat template belongs to no turn and no answer, and to none of `mean`, `all` and
`all-but-first`: rows of start and end marks and of the line breaks behind them are the longest by
far (massive activations, Sun et al. 2024), the same in every prompt, and would lead norms, CKA and
nulls. `last` is the last markup token before an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from jobs.tokens.plan import ANSWERS, ROLES, TokenPlan
from jobs.tokens.position_policy import POOLED, Policy, answer_token, expanded

_MARKUP = (ROLES.index("bos"), ROLES.index("template"))
"""Roles of what a chat template writes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Position:
    """A named set of rows: one row for each token in it, or one for each prompt."""

    label: str
    """Value of the position column of a measurement."""
    policy: Policy
    """The policy that selects the tokens."""
    tokens: Bool[np.ndarray, " tokens"]
    """Tokens that give a row each or, when pooled, are averaged into the row of their prompt."""
    reservoir: Bool[np.ndarray, " tokens"]
    """Tokens whose row is stored in the reservoir, chosen by hash(prompt, position)."""
    pooled: bool
    """True for one row per prompt instead of one per token."""
    largest_group: int
    """Number of rows of the prompt group that has most."""

    @classmethod
    def to_read(
        cls, policy: Policy, tokens: Bool[np.ndarray, " tokens"], *, pooled: bool = False
    ) -> Position:
        """Return a position whose rows are read and none of them stored."""
        return cls(
            label=policy,
            policy=policy,
            tokens=tokens,
            reservoir=np.zeros_like(tokens),
            pooled=pooled,
            largest_group=0,
        )


def find_positions(
    plan: TokenPlan, policies: Sequence[Policy], num_reservoir: int
) -> list[Position]:
    """Return the positions of these policies that have rows, in the order of `policies`.

    The reservoir of each holds at most `num_reservoir` rows, those of the smallest hashes, so that
    every model that runs on a plan stores the same rows.
    """
    positions = []
    for policy in expanded(policies):
        for label, tokens in _select_tokens(plan, policy):
            pooled = policy in POOLED
            owners = plan.owners[tokens]
            groups = plan.groups[np.unique(owners) if pooled else owners]
            if len(groups):
                reservoir = _choose_reservoir(plan, tokens, pooled, num_reservoir)
                positions.append(
                    Position(
                        label=label,
                        policy=policy,
                        tokens=tokens,
                        reservoir=reservoir,
                        pooled=pooled,
                        largest_group=int(np.bincount(groups).max()),
                    )
                )
    return positions


def _select_tokens(
    plan: TokenPlan, policy: Policy
) -> Iterator[tuple[str, Bool[np.ndarray, " tokens"]]]:
    """Yield label and tokens of each position of a policy."""
    if policy == "last":
        yield policy, _last(plan)
    elif policy == "response":
        yield policy, _answer(plan)
    elif policy == "legacy":
        yield policy, np.ones(len(plan.token_ids), dtype=bool)
    elif policy == "all":
        yield policy, _text(plan)
    elif policy in ("mean", "all-but-first"):
        yield policy, _text(plan) & (plan.within > 0)
    elif (number := answer_token(policy)) is not None:
        yield policy, _answer_token(plan, number)
    else:
        yield from _turns(plan)


def _text(plan: TokenPlan) -> Bool[np.ndarray, " tokens"]:
    """Select what is no markup of a chat template, a BOS that it writes included; else all."""
    if ROLES.index("template") not in plan.roles:
        return np.ones(len(plan.token_ids), dtype=bool)
    return np.asarray(~np.isin(plan.roles, _MARKUP))


def _answer(plan: TokenPlan) -> Bool[np.ndarray, " tokens"]:
    """Select the tokens of the final segment of each prompt, where the segment is an answer."""
    final = plan.segments == plan.final_segments[plan.owners]
    return np.asarray(final & np.isin(plan.roles, ANSWERS))


def _answer_token(plan: TokenPlan, number: int) -> Bool[np.ndarray, " tokens"]:
    """Select the token of this number, from 0, of each answer that has so many."""
    answer = np.flatnonzero(_answer(plan))
    selected = np.zeros(len(plan.token_ids), dtype=bool)
    starts = np.flatnonzero(np.diff(plan.owners[answer], prepend=-1))
    lengths = np.diff(np.append(starts, len(answer)))
    selected[answer[starts[lengths > number] + number]] = True
    return selected


def _last(plan: TokenPlan) -> Bool[np.ndarray, " tokens"]:
    """Select the token before the final answer; a prompt that begins with its answer has none."""
    ends = plan.offsets[1:].copy()
    answer_tokens = np.flatnonzero(_answer(plan))[::-1]  # so that the first one is written last
    ends[plan.owners[answer_tokens]] = answer_tokens
    selected = np.zeros(len(plan.token_ids), dtype=bool)
    selected[ends[ends > plan.offsets[:-1]] - 1] = True
    return selected


def _turns(plan: TokenPlan) -> Iterator[tuple[str, Bool[np.ndarray, " tokens"]]]:
    """Yield the last token of the first, second, ... user segment."""
    segment_ids = plan.owners * (int(plan.segments.max()) + 2) + plan.segments
    ends = np.flatnonzero(np.append(segment_ids[1:] != segment_ids[:-1], True))
    ends = ends[plan.roles[ends] == ROLES.index("user")]
    owners = plan.owners[ends]
    starts = np.flatnonzero(np.append(True, owners[1:] != owners[:-1])) if len(ends) else ends
    turns = np.arange(len(ends)) - np.repeat(starts, np.diff(np.append(starts, len(ends))))
    for turn in range(int(turns.max()) + 1 if len(turns) else 0):
        selected = np.zeros(len(plan.token_ids), dtype=bool)
        selected[ends[turns == turn]] = True
        yield f"turn-{turn + 1}", selected


def _choose_reservoir(
    plan: TokenPlan, tokens: Bool[np.ndarray, " tokens"], pooled: bool, num_reservoir: int
) -> Bool[np.ndarray, " tokens"]:
    """Select the tokens of the rows with the `num_reservoir` smallest hashes."""
    rows = np.flatnonzero(tokens)
    owners = plan.owners[rows]
    within = np.zeros_like(rows) if pooled else plan.within[rows]
    hashes = row_hash(plan.prompts[owners], within)
    smallest = np.unique(hashes)[:num_reservoir]
    reservoir = np.zeros(len(tokens), dtype=bool)
    reservoir[rows[np.isin(hashes, smallest)]] = True
    return reservoir


def row_hash(
    prompts: Int64[np.ndarray, " rows"], within: Int64[np.ndarray, " rows"]
) -> UInt64[np.ndarray, " rows"]:
    """Hash (prompt, position) to 64 bits: two rounds of splitmix64 (Steele et al. 2014)."""
    return _mix(_mix(prompts.astype(np.uint64)) ^ within.astype(np.uint64))


def _mix(value: UInt64[np.ndarray, " rows"]) -> UInt64[np.ndarray, " rows"]:
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(value ^ (value >> np.uint64(31)))
