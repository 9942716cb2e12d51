"""Behaviour of one model on one set of prompts, as measurements. No text it says is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from analysis.measurement import Measurement
from jobs.behaviour.decode_control import decode_control
from jobs.behaviour.outcomes import outcomes
from jobs.behaviour.said import write_continuations
from jobs.behaviour.scorer import Judge, chosen_scorer
from jobs.behaviour.subject import Subject, load_subject
from jobs.behaviour.toxic_tokens import ToxicTokens, find_toxic_tokens
from jobs.worker.measured_rows import write_measurements
from jobs.worker.work import Work


def behave(work: Work) -> dict[str, Any]:
    """Measure everything asked for and write it; returns the record's facts."""
    work.progress(None, "loading the model")
    subject = load_subject(work)
    toxic = find_toxic_tokens(subject.toxic_words, subject.tokenizer, subject.transform)
    rows = list(_rows(work, subject, toxic))
    _mirror(work, rows)
    return {
        "rows": write_measurements(work.folder, rows, subject.about),
        "num_prompts": len(subject.plan.prompts),
        "num_too_long": len(subject.too_long),
        "num_toxic_words": toxic.num_words,
        "num_toxic_words_covered": toxic.num_covered,
    }


def _rows(work: Work, subject: Subject, toxic: ToxicTokens) -> Iterator[Measurement]:
    params = work.params

    def show(done: int, doing: str) -> None:
        work.progress(done / len(subject.plan.prompts), doing)

    def judge() -> Judge:
        work.progress(None, "judging continuations")
        return chosen_scorer(params.scorer).open(work, subject.toxic_words)

    for outcome in outcomes(
        subject,
        toxic,
        params,
        judge=judge,
        show=show,
        after_saying=lambda said: write_continuations(work.folder, subject, said),
    ):
        yield outcome.measured()
    if "decode_loss" in params.metrics:
        yield from decode_control(
            subject,
            params.token_budget,
            lambda done: show(done, "reading prompts in and out of order"),
        )


def _mirror(work: Work, measurements: Sequence[Measurement]) -> None:
    values = {
        f"{each.metric}/{each.position}": each.value
        for each in measurements
        if each.value is not None
    }
    if values:
        work.tracker.log(values, axis="behave/step", step=0)
