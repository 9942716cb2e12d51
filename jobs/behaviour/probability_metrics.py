"""Behaviours that one forward pass over each prompt shows: toxic mass and perplexity."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
from jaxtyping import Bool

from jobs.behaviour.behaviour_values import BehaviourValues
from jobs.behaviour.next_token_probabilities import (
    NextTokenProbabilities,
    read_next_token_probabilities,
)
from jobs.behaviour.prompted_model import NO_WORDS, PromptedModel
from jobs.behaviour.toxic_tokens import ToxicTokens
from jobs.tokens.positions import Position, find_positions

METRICS = frozenset({"toxic_mass", "perplexity"})
_MASS = (
    "v1: mean over prompts of the probability that the next token is a whole toxic word, plain or "
    "transformed; delete-group jackknife"
)
_PERPLEXITY = (
    "v1: exp of the mean negative log-probability of answer tokens, given all before them; "
    "delete-group jackknife of the logarithm"
)


def measure_probabilities(
    prompted: PromptedModel,
    toxic: ToxicTokens,
    metrics: Collection[str],
    *,
    token_budget: int,
    after_batch: Callable[[int], None],
) -> Iterator[BehaviourValues]:
    """Yield those of METRICS that are among `metrics`; the mass at the last token and each turn."""
    if METRICS.isdisjoint(metrics):
        return
    positions = find_positions(prompted.plan, ("last", "turn", "response"), 0)
    requests = [position for position in positions if position.label != "response"]
    answers = [position for position in positions if position.label == "response"]
    probabilities = read_next_token_probabilities(
        prompted.model,
        prompted.plan,
        token_set=toxic.token_ids,
        mass_after=_union(prompted, requests),
        scored=_union(prompted, answers),
        token_budget=token_budget,
        after_batch=after_batch,
    )
    if "toxic_mass" in metrics:
        yield from (_toxic_mass(prompted, toxic, probabilities, request) for request in requests)
    if "perplexity" in metrics:
        yield _perplexity(prompted, probabilities)


def _toxic_mass(
    prompted: PromptedModel,
    toxic: ToxicTokens,
    probabilities: NextTokenProbabilities,
    position: Position,
) -> BehaviourValues:
    covered = f"{toxic.num_covered} of {toxic.num_words} toxic words are one token"
    missing = None if toxic.num_covered else covered
    return BehaviourValues(
        metric="toxic_mass",
        definition=_MASS,
        position=position.label,
        values=probabilities.mass[position.tokens],
        groups=prompted.plan.groups[prompted.plan.owners[position.tokens]],
        note=covered if toxic.num_covered < toxic.num_words else None,
        missing=missing if toxic.num_words else NO_WORDS,
    )


def _perplexity(prompted: PromptedModel, probabilities: NextTokenProbabilities) -> BehaviourValues:
    scored = ~np.isnan(probabilities.log_probability)
    return BehaviourValues(
        metric="perplexity",
        definition=_PERPLEXITY,
        position="response",
        values=-probabilities.log_probability[scored],
        groups=prompted.plan.groups[prompted.plan.owners[scored]],
        is_loss=True,
        missing=None if scored.any() else "no prompt has an answer",
    )


def _union(prompted: PromptedModel, positions: Sequence[Position]) -> Bool[np.ndarray, " tokens"]:
    none = np.zeros(len(prompted.plan.token_ids), dtype=bool)
    return np.asarray(np.logical_or.reduce([none, *(position.tokens for position in positions)]))
