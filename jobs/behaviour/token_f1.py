"""Unigram F1 of what a model says against the answer that the prompt comes with.

Lee et al. 2024 report `token_f1` as a check that ability stays; their code counts the prompt among
what was said, which is reproduced beside as `token_f1_legacy`. Tokens are those of each model:
`word_f1` compares models with different tokenizers, and models behind an endpoint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Sequence

import numpy as np

from jobs.behaviour.outcome import Outcome
from jobs.behaviour.said import Said
from jobs.behaviour.subject import Subject
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


def word_f1(said: str, reference: str) -> float:
    """Unigram F1 of the words of two texts."""
    return unigram_f1(words_of(said), words_of(reference))


def word_f1_outcome(scores: Sequence[float], groups: Sequence[int], new_tokens: int) -> Outcome:
    """Over prompts with an answer: their `word_f1`, and their groups."""
    return Outcome(
        metric="word_f1",
        definition=DEFINITION.format(units="words", new_tokens=new_tokens, prompt=""),
        position="response",
        values=np.array(scores, dtype=np.float64),
        groups=np.array(groups, dtype=np.int64),
        missing=None if len(scores) else NO_ANSWER,
    )


def unigram_f1(said: Sequence[Hashable], reference: Sequence[Hashable]) -> float:
    """Harmonic mean of precision and recall of two bags; 0 where they share nothing."""
    shared = (Counter(said) & Counter(reference)).total()
    return 2 * shared / (len(said) + len(reference)) if shared else 0.0


def overlap_outcomes(subject: Subject, said: Said, metrics: Collection[str]) -> Iterator[Outcome]:
    """Those of METRICS that are asked for, over prompts with an answer; the legacy one beside."""
    if METRICS.isdisjoint(metrics):
        return
    plan = subject.plan
    answers = _answers(plan)
    places = [number for number, place in enumerate(said.places) if place in answers]
    if "word_f1" in metrics:
        ids = [answers[said.places[each]] for each in places]
        references = subject.tokenizer.batch_decode(ids, skip_special_tokens=True)
        words = [word_f1(said.texts[each], of) for each, of in zip(places, references, strict=True)]
        yield word_f1_outcome(words, plan.groups[said.places[places]].tolist(), said.new_tokens)
    if "token_f1" in metrics:
        yield from _by_tokens(plan, said, places, answers)


def _by_tokens(
    plan: TokenPlan, said: Said, places: Sequence[int], answers: dict[int, list[int]]
) -> Iterator[Outcome]:
    for metric, with_prompt in (("token_f1", False), ("token_f1_legacy", True)):
        scores = [
            unigram_f1(
                [
                    *(_asked(plan, said.places[each], answers) if with_prompt else []),
                    *said.token_ids[each],
                ],
                answers[said.places[each]],
            )
            for each in places
        ]
        yield Outcome(
            metric=metric,
            definition=DEFINITION.format(
                units="tokens",
                new_tokens=said.new_tokens,
                prompt=" and the prompt before them" if with_prompt else "",
            ),
            position="response",
            values=np.array(scores, dtype=np.float64),
            groups=plan.groups[said.places[places]],
            missing=None if places else NO_ANSWER,
        )


def _answers(plan: TokenPlan) -> dict[int, list[int]]:
    """Token ids of the final answer by prompt, of prompts that have one."""
    found: dict[int, list[int]] = {}
    for place in find_positions(plan, ("response",), 0):
        for token in np.flatnonzero(place.tokens):
            found.setdefault(int(plan.owners[token]), []).append(int(plan.token_ids[token]))
    return found


def _asked(plan: TokenPlan, place: int, answers: dict[int, list[int]]) -> list[int]:
    """Token ids before the answer."""
    start, end = plan.offsets[place], plan.offsets[place + 1] - len(answers[place])
    return [int(token) for token in plan.token_ids[start:end]]
