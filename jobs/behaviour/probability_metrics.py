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
from jobs.behaviour.toxic_masses import SHARE, ToxicMasses, read_toxic_masses
from jobs.behaviour.toxic_words import ToxicWords
from jobs.tokens.positions import Position, find_positions
from jobs.words.spellings import Spellings

METRICS = frozenset({"toxic_mass", "perplexity"})
_MASS = (
    "v2: mean over prompts of the probability that the text goes on with a toxic word{end}, plain "
    "or transformed, in the tokenizer's own tokens; delete-group jackknife, the upper end raised "
    "by what was left uncounted"
)
_PERPLEXITY = (
    "v1: exp of the mean negative log-probability of answer tokens, given all before them; "
    "delete-group jackknife of the logarithm"
)


def measure_probabilities(
    prompted: PromptedModel,
    toxic: ToxicWords,
    metrics: Collection[str],
    *,
    token_budget: int,
    share: float = SHARE,
    after_batch: Callable[[int], None],
) -> Iterator[BehaviourValues]:
    """Yield those of METRICS that are among `metrics`; the mass at the last token and each turn.

    Args:
        prompted: the model and its prompts.
        toxic: the toxic words.
        metrics: names of metrics, others among them.
        token_budget: most tokens forwarded together, padding included.
        share: most of a mean mass that is left uncounted.
        after_batch: called with the number of prompts done.
    """
    if METRICS.isdisjoint(metrics):
        return
    positions = find_positions(prompted.plan, ("last", "turn", "response"), 0)
    requests = [position for position in positions if position.label != "response"]
    scored = _union(prompted, [position for position in positions if position.label == "response"])
    if "toxic_mass" in metrics:
        masses, probabilities = read_toxic_masses(
            prompted.model,
            prompted.plan,
            toxic,
            positions=requests,
            scored=scored,
            token_budget=token_budget,
            share=share,
            after_batch=after_batch,
        )
        yield from (_toxic_mass(prompted, toxic, masses, request) for request in requests)
    else:
        probabilities = read_next_token_probabilities(
            prompted.model,
            prompted.plan,
            token_set=(),
            mass_after=np.zeros_like(scored),
            scored=scored,
            token_budget=token_budget,
            after_batch=after_batch,
        )
    if "perplexity" in metrics:
        yield _perplexity(prompted, probabilities)


def _toxic_mass(
    prompted: PromptedModel, toxic: ToxicWords, masses: ToxicMasses, position: Position
) -> BehaviourValues:
    spellings = toxic.spellings
    missing = None if toxic.num_covered else f"none of {toxic.num_words} toxic words has tokens"
    left = masses.left[position.tokens] + masses.unclear[position.tokens]
    return BehaviourValues(
        metric="toxic_mass",
        definition=_MASS.format(end=" that ends there" if toxic.must_end else ""),
        position=position.label,
        values=masses.mass[position.tokens],
        groups=prompted.plan.groups[prompted.plan.owners[position.tokens]],
        left=left,
        coverage=spellings.coverage,
        note=_reservations(spellings),
        missing=missing if toxic.num_words else NO_WORDS,
    )


def _reservations(spellings: Spellings) -> str | None:
    """Say which words are not counted, or not in every form; None where all are."""
    parts = []
    if spellings.num_covered < spellings.num_words:
        parts.append(f"{spellings.num_covered} of {spellings.num_words} toxic words have tokens")
    if spellings.num_unknown:
        parts.append(
            f"{spellings.num_unknown} of {spellings.num_words} transformed words are not counted: "
            "their tokens depend on what follows"
        )
    return "; ".join(parts) or None


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
