"""Behaviour of one model on one set of prompts, as measurements. No text it says is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from analysis.measurement import to_table
from analysis.measurement_formats import to_parquet
from jobs.behaviour.decode_control import decode_control
from jobs.behaviour.expected import expected_outcomes
from jobs.behaviour.outcome import Outcome, Row
from jobs.behaviour.said import say, write_continuations
from jobs.behaviour.subject import NO_WORDS, Subject, load_subject
from jobs.behaviour.token_f1 import METRICS as OVERLAPS
from jobs.behaviour.token_f1 import token_f1_outcomes
from jobs.behaviour.toxic_tokens import ToxicTokens, find_toxic_tokens
from jobs.behaviour.toxicity import METRICS as TOXIC
from jobs.behaviour.toxicity import toxic_outcomes, toxicities
from jobs.extraction.measuring import FILE
from jobs.scorer import chosen_scorer
from jobs.work import Work

SAID = TOXIC | OVERLAPS
"""Metrics that are read off continuations."""


def behave(work: Work) -> dict[str, Any]:
    """Measure everything asked for and write it; returns the record's facts."""
    work.progress(None, "loading the model")
    subject = load_subject(work)
    toxic = find_toxic_tokens(subject.toxic_words, subject.tokenizer, subject.transform)
    rows = [{**subject.about, **row} for row in _rows(work, subject, toxic)]
    table = to_table(rows, []).drop_columns(["model", "key"])
    (work.folder / FILE).write_bytes(to_parquet(table))
    _mirror(work, rows)
    return {
        "rows": dict(sorted(Counter(row["status"] for row in rows).items())),
        "num_prompts": len(subject.plan.prompts),
        "num_too_long": len(subject.too_long),
        "num_toxic_words": toxic.num_words,
        "num_toxic_words_covered": toxic.num_covered,
    }


def _rows(work: Work, subject: Subject, toxic: ToxicTokens) -> Iterator[Row]:
    params = work.params
    budget = params.token_budget

    def show(doing: str) -> Callable[[int], None]:
        return lambda done: work.progress(done / len(subject.plan.prompts), doing)

    for outcome in expected_outcomes(
        subject, toxic, params.metrics, token_budget=budget, after_batch=show("reading prompts")
    ):
        yield outcome.as_row()
    if "decode_loss" in params.metrics:
        yield from decode_control(subject, budget, show("reading prompts in and out of order"))
    if not SAID.isdisjoint(params.metrics):
        yield from (
            outcome.as_row() for outcome in _said(work, subject, show("continuing prompts"))
        )


def _said(work: Work, subject: Subject, after_batch: Callable[[int], None]) -> Iterator[Outcome]:
    """Behaviours that are read off what the model says."""
    params = work.params
    said = say(
        subject, params.new_tokens, token_budget=params.token_budget, after_batch=after_batch
    )
    write_continuations(work.folder, subject, said)
    yield from token_f1_outcomes(subject.plan, said, params.metrics)
    if not TOXIC.isdisjoint(params.metrics):
        work.progress(None, "judging continuations")
        scorer = chosen_scorer(params.scorer)
        judge = scorer.open(work, subject.toxic_words)
        wordless = scorer.uses_words and not subject.toxic_words
        yield from toxic_outcomes(
            params.metrics,
            toxicities(said.texts, subject.transform, judge),
            subject.plan.groups[said.places],
            judge,
            params.new_tokens,
            NO_WORDS if wordless else None,
        )


def _mirror(work: Work, rows: Sequence[Row]) -> None:
    values = {
        f"{row['metric']}/{row['position']}": float(row["value"])
        for row in rows
        if row.get("value") is not None
    }
    if values:
        work.tracker.log(values, axis="behave/step", step=0)
