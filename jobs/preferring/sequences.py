"""Sequences, prompt and answer as token ids: as a plan that is forwarded, and scored by a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
from jaxtyping import Float64, Int64

from jobs.behaviour.next_token_probabilities import read_next_token_probabilities
from jobs.models.language_model import LanguageModel
from jobs.tokens.plan import ROLES, TokenPlan
from jobs.training.completion_log_probabilities import Sequences
from jobs.worker.out_of_memory import in_halves

TokenScores = Sequence[Float64[np.ndarray, " tokens"]]
"""Log-probability, in nats, of each token of each answer; the first token of a text has none."""

_PROMPT, _RESPONSE = ROLES.index("prompt"), ROLES.index("response")


def plan_of(sequences: Sequences, groups: Int64[np.ndarray, " sequences"]) -> TokenPlan:
    """Put sequences (prompt ids, answer ids) into one plan, in their order."""
    lengths = [len(prompt) + len(answer) for prompt, answer in sequences]
    in_answer = np.concatenate(
        [np.arange(n) >= len(prompt) for n, (prompt, _) in zip(lengths, sequences, strict=True)]
    )
    ids = [*chain.from_iterable(chain(*each) for each in sequences)]
    return TokenPlan(
        prompts=np.arange(len(sequences)),
        groups=np.asarray(groups),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        token_ids=np.array(ids, dtype=np.int32),
        roles=np.where(in_answer, _RESPONSE, _PROMPT).astype(np.int8),
        segments=in_answer.astype(np.int16),
        final_segments=np.ones(len(sequences), dtype=np.int16),
    )


def score_answers(
    model: LanguageModel,
    sequences: Sequences,
    *,
    token_budget: int,
    after_batch: Callable[[int], None] = lambda done: None,
) -> TokenScores:
    """Score every token of every answer, given all before it; softmax in fp32.

    Batches are by length and hold at most `token_budget` tokens, padding included; where memory
    runs out, they are halved.

    Raises:
        OutOfMemory: one sequence alone is too much.
    """
    plan = plan_of(sequences, np.zeros(len(sequences), dtype=np.int64))
    scored = plan.roles == _RESPONSE
    probabilities, _ = in_halves(
        token_budget,
        1,
        lambda budget: read_next_token_probabilities(
            model,
            plan,
            token_set=(),
            mass_after=np.zeros(len(scored), dtype=bool),
            scored=scored,
            token_budget=budget,
            after_batch=after_batch,
        ),
    )
    has_score = scored & (plan.within > 0)
    owners = plan.owners[has_score]
    ends = np.searchsorted(owners, np.arange(1, len(sequences)))
    return np.split(probabilities.log_probability[has_score], ends)
