"""Unigram F1 of a continuation against the answer that the prompt comes with.

Lee et al. 2024 report `token_f1` as a check that ability stays; their code counts the prompt among
the continuation, which is reproduced beside as `token_f1_legacy`. Tokens are those of each model:
`word_f1` compares models with different tokenizers, and models behind an endpoint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence

import numpy as np

from jobs.behaviour.behaviour_values import BehaviourValues
from jobs.behaviour.continuations import Continuations
from jobs.behaviour.prompted_model import PromptedModel
from jobs.text.lexicon import words_of
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import find_positions

METRICS = frozenset({"token_f1", "word_f1"})
DEFINITION = (
    "v1: mean over prompts of the harmonic mean of precision and recall of the {units} of "
    "{new_tokens} greedy tokens{prompt} against those of the answer, each counted as often as it "
    "stands in both; delete-group jackknife"
)
NO_ANSWER = "no prompt has an answer"


def word_f1(text: str, reference: str) -> float:
    """Compute the unigram F1 of the words of two texts."""
    return unigram_f1(words_of(text), words_of(reference))


def word_f1_values(
    scores: Sequence[float], groups: Sequence[int], new_tokens: int
) -> BehaviourValues:
    """Return `word_f1` of prompts with an answer, from its score and group of each."""
    return BehaviourValues(
        metric="word_f1",
        definition=DEFINITION.format(units="words", new_tokens=new_tokens, prompt=""),
        position="response",
        values=np.array(scores, dtype=np.float64),
        groups=np.array(groups, dtype=np.int64),
        missing=None if len(scores) else NO_ANSWER,
    )


def unigram_f1(units: Sequence[Hashable], reference: Sequence[Hashable]) -> float:
    """Compute the harmonic mean of precision and recall of two bags; 0 where they share nothing."""
    shared = (Counter(units) & Counter(reference)).total()
    return 2 * shared / (len(units) + len(reference)) if shared else 0.0


def measure_unigram_f1(
    prompted: PromptedModel, continuations: Continuations, metrics: Collection[str]
) -> Iterator[BehaviourValues]:
    """Yield those of METRICS that are among `metrics`, over prompts with an answer."""
    if METRICS.isdisjoint(metrics):
        return
    plan = prompted.plan
    answers = _answers(plan)
    members = [i for i, place in enumerate(continuations.places) if place in answers]
    if "word_f1" in metrics:
        token_ids = [answers[continuations.places[i]] for i in members]
        references = prompted.tokenizer.batch_decode(token_ids, skip_special_tokens=True)
        texts = [continuations.texts[i] for i in members]
        scores = [word_f1(text, of) for text, of in zip(texts, references, strict=True)]
        groups = plan.groups[continuations.places[members]].tolist()
        yield word_f1_values(scores, groups, continuations.new_tokens)
    if "token_f1" in metrics:
        yield from _token_f1(plan, continuations, members, answers)


def _token_f1(
    plan: TokenPlan,
    continuations: Continuations,
    members: Sequence[int],
    answers: Mapping[int, list[int]],
) -> Iterator[BehaviourValues]:
    places = continuations.places[members]
    for metric, with_prompt in (("token_f1", False), ("token_f1_legacy", True)):
        scores = []
        for place, member in zip(places, members, strict=True):
            before = _tokens_before_answer(plan, place, answers) if with_prompt else []
            scores.append(unigram_f1([*before, *continuations.token_ids[member]], answers[place]))
        yield BehaviourValues(
            metric=metric,
            definition=DEFINITION.format(
                units="tokens",
                new_tokens=continuations.new_tokens,
                prompt=" and the prompt before them" if with_prompt else "",
            ),
            position="response",
            values=np.array(scores, dtype=np.float64),
            groups=plan.groups[places],
            missing=None if members else NO_ANSWER,
        )


def _answers(plan: TokenPlan) -> dict[int, list[int]]:
    """Map the index of each prompt with a final answer to the token ids of that answer."""
    answers: dict[int, list[int]] = {}
    for position in find_positions(plan, ("response",), 0):
        for token in np.flatnonzero(position.tokens):
            answers.setdefault(int(plan.owners[token]), []).append(int(plan.token_ids[token]))
    return answers


def _tokens_before_answer(
    plan: TokenPlan, place: int, answers: Mapping[int, list[int]]
) -> list[int]:
    start, end = plan.offsets[place], plan.offsets[place + 1] - len(answers[place])
    return [int(token) for token in plan.token_ids[start:end]]
