"""`Passes`: behaviour measured pass after pass, each kept on disk once it is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from jobs.behaviour.behaviour_values import BehaviourValues
from jobs.behaviour.measured_behaviours import measure_behaviours
from jobs.behaviour.prompted_model import PreparedPrompts, PromptedModel
from jobs.behaviour.scorer import Judge, chosen_scorer
from jobs.behaviour.toxic_words import ToxicWords
from jobs.intervening.intervene_params import InterveneParams
from jobs.intervening.intervention import Edit
from jobs.intervening.patching import patched
from jobs.worker.chunks import Chunks
from jobs.worker.work import Stopped, Work

_DESCRIPTIONS = (
    "metric",
    "definition",
    "position",
    "coverage",
    "is_loss",
    "is_rate",
    "note",
    "missing",
)
_NUMBERS = ("values", "groups", "left")
_ABOUT = "about"


class Passes:
    """Measures one model under some edits per pass; passes of earlier attempts are taken over."""

    def __init__(self, work: Work[InterveneParams], prompts: PreparedPrompts) -> None:
        params = work.params
        self.toxic = ToxicWords(
            prompts.toxic_words,
            prompts.tokenizer,
            prompts.transform,
            must_end=params.word_ends == "required",
        )
        self._work = work
        self._chunks = Chunks(work.attempt, prompts.plan.hash)
        self._done = 0
        self._all = params.num_passes

        @cache
        def open_judge() -> Judge:
            return chosen_scorer(params.scorer).open(work, prompts.toxic_words)

        self._open_judge = open_judge

    @property
    def num_taken_over(self) -> int:
        """Passes that an earlier attempt had made."""
        return self._chunks.num_taken_over

    def run(
        self, load: Callable[[], PromptedModel], edits: Sequence[Edit] = ()
    ) -> list[BehaviourValues]:
        """Measure a model under edits; it is loaded when no earlier attempt has measured it."""
        arrays = self._chunks.get(self._done, lambda: to_arrays(self._measure(load(), edits)))
        self._done += 1
        return from_arrays(arrays)

    def _measure(self, prompted: PromptedModel, edits: Sequence[Edit]) -> list[BehaviourValues]:
        def show(done: int, doing: str) -> None:
            if self._work.stop_requested:
                raise Stopped
            share = done / len(prompted.plan.prompts)
            self._work.progress(
                (self._done + share) / self._all, f"pass {self._done + 1} of {self._all}: {doing}"
            )

        with patched(prompted.model, edits):
            return list(
                measure_behaviours(
                    prompted, self.toxic, self._work.params, open_judge=self._open_judge, show=show
                )
            )


def to_arrays(behaviours: Sequence[BehaviourValues]) -> dict[str, np.ndarray]:
    """Write behaviours as arrays of a chunk: their numbers, and the rest as UTF-8 JSON."""
    about = [{name: getattr(values, name) for name in _DESCRIPTIONS} for values in behaviours]
    arrays = {_ABOUT: np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)}
    for number, values in enumerate(behaviours):
        arrays |= {f"{number}.{name}": getattr(values, name) for name in _NUMBERS}
    return arrays


def from_arrays(arrays: Mapping[str, np.ndarray]) -> list[BehaviourValues]:
    """Read behaviours from arrays that `to_arrays` wrote."""
    return [
        BehaviourValues(**about | {name: arrays[f"{number}.{name}"] for name in _NUMBERS})
        for number, about in enumerate(json.loads(np.asarray(arrays[_ABOUT]).tobytes()))
    ]
