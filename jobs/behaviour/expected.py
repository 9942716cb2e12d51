"""Behaviours that one forward pass over each prompt shows: toxic mass and perplexity."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
from jaxtyping import Bool

from jobs.behaviour.next_tokens import Expectations, expectations
from jobs.behaviour.outcome import Outcome
from jobs.behaviour.subject import NO_WORDS, Subject
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


def expected_outcomes(
    subject: Subject,
    toxic: ToxicTokens,
    metrics: Collection[str],
    *,
    token_budget: int,
    after_batch: Callable[[int], None],
) -> Iterator[Outcome]:
    """Those of METRICS that are asked for; the mass at the last token and at every turn."""
    if METRICS.isdisjoint(metrics):
        return
    places = find_positions(subject.plan, ("last", "turn", "response"), 0)
    asked = [place for place in places if place.label != "response"]
    found = expectations(
        subject.model,
        subject.plan,
        token_set=toxic.token_ids,
        mass_after=_union(subject, asked),
        scored=_union(subject, [place for place in places if place.label == "response"]),
        token_budget=token_budget,
        after_batch=after_batch,
    )
    if "toxic_mass" in metrics:
        yield from (_toxic_mass(subject, toxic, found, place) for place in asked)
    if "perplexity" in metrics:
        yield _perplexity(subject, found)


def _toxic_mass(
    subject: Subject, toxic: ToxicTokens, found: Expectations, place: Position
) -> Outcome:
    covered = f"{toxic.num_covered} of {toxic.num_words} toxic words are one token"
    missing = None if toxic.num_covered else covered
    return Outcome(
        metric="toxic_mass",
        definition=_MASS,
        position=place.label,
        values=found.mass[place.tokens],
        groups=subject.plan.groups[subject.plan.owners[place.tokens]],
        note=covered if toxic.num_covered < toxic.num_words else None,
        missing=missing if toxic.num_words else NO_WORDS,
    )


def _perplexity(subject: Subject, found: Expectations) -> Outcome:
    scored = ~np.isnan(found.log_probability)
    return Outcome(
        metric="perplexity",
        definition=_PERPLEXITY,
        position="response",
        values=-found.log_probability[scored],
        groups=subject.plan.groups[subject.plan.owners[scored]],
        is_loss=True,
        missing=None if scored.any() else "no prompt has an answer",
    )


def _union(subject: Subject, places: Sequence[Position]) -> Bool[np.ndarray, " tokens"]:
    nothing = np.zeros(len(subject.plan.token_ids), dtype=bool)
    return np.asarray(np.logical_or.reduce([nothing, *(place.tokens for place in places)]))
