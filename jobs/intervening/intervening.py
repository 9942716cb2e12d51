"""One `intervene` job: both models as they are, then one of them at every dose and control."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from analysis.measurement import Measurement
from jobs.behaviour.outcome import Outcome
from jobs.behaviour.outcomes import outcomes
from jobs.behaviour.scorer import Judge, chosen_scorer
from jobs.behaviour.subject import Subject
from jobs.behaviour.toxic_tokens import ToxicTokens, find_toxic_tokens
from jobs.intervening.intervention import Edit, Intervention, Target, load_intervention
from jobs.intervening.kept_outcomes import from_arrays, to_arrays
from jobs.intervening.patching import patched
from jobs.intervening.rows import AXIS, NAME, Measured, rows
from jobs.intervening.subjects import Subjects
from jobs.intervening.targets import Absent, find_target
from jobs.worker.chunks import Chunks
from jobs.worker.measured_rows import write_measurements
from jobs.worker.work import Stopped, Work

_OTHER = {"base": "aligned", "aligned": "base"}


def intervene(work: Work) -> dict[str, Any]:
    """Measure everything and write it; returns the record's facts."""
    params = work.params
    intervention = load_intervention(params.intervention)
    subjects = Subjects(work)
    passes = Passes(work, subjects.common)
    other = passes.outcomes(lambda: subjects.load(_OTHER[params.subject]))
    subject = subjects.load(params.subject)
    plain = passes.outcomes(lambda: subject)
    target = find_target(work, subject, intervention)
    doses: dict[float, Measured | Absent] = {
        dose: target
        if isinstance(target, Absent)
        else _at_dose(passes, subject, intervention, target, dose)
        for dose in params.doses
    }
    found = [
        replace(each, axes={NAME: params.intervention, **each.axes})
        for each in rows(plain, other, doses, _definition(params, intervention))
    ]
    _mirror(work, found)
    return {
        "definition": intervention.DEFINITION,
        "rows": write_measurements(work.folder, found, subjects.common.about, [NAME, AXIS]),
        "num_prompts": len(subject.plan.prompts),
        "num_too_long": len(subject.too_long),
        "num_toxic_words": passes.toxic.num_words,
        "num_toxic_words_covered": passes.toxic.num_covered,
        "passes_taken_over": passes.num_taken_over,
        **_of_target(target),
    }


class Passes:
    """Measures behaviour pass after pass, each kept once it is done."""

    def __init__(self, work: Work, common: Subject) -> None:
        params = work.params
        self.toxic: ToxicTokens = find_toxic_tokens(
            common.toxic_words, common.tokenizer, common.transform
        )
        self._work = work
        self._chunks = Chunks(work.attempt, common.plan.hash)
        self._done = 0
        self._all = 2 + len(params.doses) * (1 + params.random_controls)

        @cache
        def judge() -> Judge:
            return chosen_scorer(params.scorer).open(work, common.toxic_words)

        self._judge = judge

    @property
    def num_taken_over(self) -> int:
        """Passes that an earlier attempt had made."""
        return self._chunks.num_taken_over

    def controls(self, target: Target) -> list[Target]:
        """Random ones in its place, the same at every dose."""
        params = self._work.params
        return [
            target.randomised(np.random.default_rng([params.seed, number]))
            for number in range(params.random_controls)
        ]

    def outcomes(self, subject: Callable[[], Subject], edits: Sequence[Edit] = ()) -> list[Outcome]:
        """What the subject, loaded when it is needed, does under these edits."""
        arrays = self._chunks.get(self._done, lambda: to_arrays(self._measured(subject(), edits)))
        self._done += 1
        return from_arrays(arrays)

    def _measured(self, subject: Subject, edits: Sequence[Edit]) -> list[Outcome]:
        def show(done: int, doing: str) -> None:
            if self._work.stop_requested:
                raise Stopped
            share = done / len(subject.plan.prompts)
            self._work.progress(
                (self._done + share) / self._all, f"pass {self._done + 1} of {self._all}: {doing}"
            )

        with patched(subject.model, edits):
            return list(
                outcomes(subject, self.toxic, self._work.params, judge=self._judge, show=show)
            )


def _at_dose(
    passes: Passes, subject: Subject, intervention: Intervention, target: Target, dose: float
) -> Measured:
    found = [
        passes.outcomes(lambda: subject, intervention.edits(each, dose))
        for each in (target, *passes.controls(target))
    ]
    return Measured(patched=found[0], controls=found[1:])


def _definition(params: Any, intervention: Intervention) -> str:
    """What was done, before what was measured: the same words whatever the axis `intervention`.

    A table has a column for each definition, and interventions are to stand side by side.
    """
    unit = "the median norm there" if params.dose_unit == "typical-norm" else "length 1"
    changed = "" if params.subject == intervention.SUBJECT else f"; the {params.subject} is changed"
    return (
        f"v1: {{metric}} with activations changed at every position (directions: at {params.site}, "
        f"depth {params.depth:g}, {params.direction}, dose 1 of {unit}, of a mean offset its own "
        f"length, mean δ at {params.position}; neurons: the {params.num_vectors} most "
        f"toxic{changed}); recovered: share of the way to the other model, paired by prompt "
        f"group; null band: "
        f"{params.random_controls} random directions, or sets of other neurons; {{metric}}: "
    )


def _of_target(target: Target | Absent) -> dict[str, Any]:
    if isinstance(target, Absent):
        return {"layer": None, "step": None, "neurons": []}
    neurons = [[layer, int(each)] for layer in target.neurons for each in target.neurons[layer]]
    along = target.direction is not None
    return {
        "layer": target.layer if along else None,
        "step": target.step if along else None,
        "neurons": neurons,
    }


def _mirror(work: Work, measurements: Sequence[Measurement]) -> None:
    """Log one row of behaviour per dose."""
    by_dose: dict[float, dict[str, float]] = {}
    for each in measurements:
        if each.value is not None:
            dose = float(str(each.axes[AXIS]))
            by_dose.setdefault(dose, {})[f"{each.metric}/{each.position}"] = each.value
    for dose, values in sorted(by_dose.items()):
        work.tracker.log(values, axis=AXIS, step=dose)
