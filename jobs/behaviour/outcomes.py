"""All behaviours of one model that are a mean over prompts or tokens, in two passes over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jobs.behaviour.expected import expected_outcomes
from jobs.behaviour.outcome import Outcome
from jobs.behaviour.said import Said, say
from jobs.behaviour.scorer import Judge, chosen_scorer
from jobs.behaviour.subject import NO_WORDS, Subject
from jobs.behaviour.token_f1 import METRICS as OVERLAPS
from jobs.behaviour.token_f1 import overlap_outcomes
from jobs.behaviour.toxic_tokens import ToxicTokens
from jobs.behaviour.toxicity import METRICS as TOXIC
from jobs.behaviour.toxicity import toxic_outcomes, toxicities

SAID = TOXIC | OVERLAPS
"""Metrics that are read off continuations."""

Show = Callable[[int, str], None]
"""Told how many prompts are done, and what is done to them."""


def outcomes(
    subject: Subject,
    toxic: ToxicTokens,
    params: Any,
    *,
    judge: Callable[[], Judge],
    show: Show,
    after_saying: Callable[[Said], None] = lambda said: None,
) -> Iterator[Outcome]:
    """Those that `params.metrics` names.

    Args:
        subject: the model and its prompts.
        toxic: tokens of toxic words.
        params: metrics, scorer, new_tokens and token_budget.
        judge: makes the scorer ready; called once there is something to judge.
        show: called after every batch.
        after_saying: handed what the model said, where something is read off it.
    """
    yield from expected_outcomes(
        subject,
        toxic,
        params.metrics,
        token_budget=params.token_budget,
        after_batch=lambda done: show(done, "reading prompts"),
    )
    if SAID.isdisjoint(params.metrics):
        return
    said = say(
        subject,
        params.new_tokens,
        token_budget=params.token_budget,
        after_batch=lambda done: show(done, "continuing prompts"),
    )
    after_saying(said)
    yield from overlap_outcomes(subject, said, params.metrics)
    if not TOXIC.isdisjoint(params.metrics):
        yield from _judged(subject, said, params, judge())


def _judged(subject: Subject, said: Said, params: Any, judge: Judge) -> Iterator[Outcome]:
    wordless = chosen_scorer(params.scorer).uses_words and not subject.toxic_words
    yield from toxic_outcomes(
        params.metrics,
        toxicities(said.texts, subject.transform, judge),
        subject.plan.groups[said.places],
        judge,
        params.new_tokens,
        NO_WORDS if wordless else None,
    )
