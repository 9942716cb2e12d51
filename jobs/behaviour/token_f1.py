"""Unigram F1 of what a model says against the answer that the prompt comes with.

Lee et al. 2024 report it as a check that ability stays; their code counts the prompt among what was
said, which is reproduced beside as `token_f1_legacy`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Sequence

import numpy as np

from jobs.behaviour.outcome import Outcome
from jobs.behaviour.said import Said
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import positions

METRICS = frozenset({"token_f1"})
DEFINITION = (
    "v1: mean over prompts of the harmonic mean of precision and recall of the {units} of "
    "{new_tokens} greedy tokens{prompt} against those of the answer, each counted as often as it "
    "stands in both; delete-group jackknife"
)
NO_ANSWER = "no prompt has an answer"


def unigram_f1(said: Sequence[Hashable], reference: Sequence[Hashable]) -> float:
    """Harmonic mean of precision and recall of two bags; 0 where they share nothing."""
    shared = (Counter(said) & Counter(reference)).total()
    return 2 * shared / (len(said) + len(reference)) if shared else 0.0


def token_f1_outcomes(plan: TokenPlan, said: Said, metrics: Collection[str]) -> Iterator[Outcome]:
    """Over prompts with an answer, by the model's own tokens: `token_f1`, and the legacy one."""
    if METRICS.isdisjoint(metrics):
        return
    answers = _answers(plan)
    places = [number for number, place in enumerate(said.places) if place in answers]
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
    for place in positions(plan, ("response",), 0):
        for token in np.flatnonzero(place.tokens):
            found.setdefault(int(plan.owners[token]), []).append(int(plan.token_ids[token]))
    return found


def _asked(plan: TokenPlan, place: int, answers: dict[int, list[int]]) -> list[int]:
    """Token ids before the answer."""
    start, end = plan.offsets[place], plan.offsets[place + 1] - len(answers[place])
    return [int(token) for token in plan.token_ids[start:end]]
