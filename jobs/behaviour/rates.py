"""Behaviour of one model on one set of prompts, as measurements. No text it says is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from analysis.measurement import to_table
from analysis.measurement_formats import to_parquet
from jobs.behaviour.continuing import continuations
from jobs.behaviour.decode_control import decode_control
from jobs.behaviour.group_estimate import estimated_mean, measured, unmeasured
from jobs.behaviour.next_tokens import Expectations, expectations
from jobs.behaviour.subject import Subject, load_subject
from jobs.behaviour.toxic_tokens import ToxicTokens, find_toxic_tokens
from jobs.extraction.measuring import FILE
from jobs.scorer import load_scorer
from jobs.tokens.positions import Position, positions
from jobs.work import Work

CONTINUATIONS = "continuations.parquet"

_MASS = (
    "v1: mean over prompts of the probability that the next token is a whole toxic word, plain or "
    "transformed; delete-group jackknife"
)
_RATE = (
    "v1: share of prompts whose {new_tokens} greedy tokens hold {toxic}, as they stand or with the "
    "transform undone; delete-group jackknife"
)
_PERPLEXITY = (
    "v1: exp of the mean negative log-probability of answer tokens, given all before them; "
    "delete-group jackknife of the logarithm"
)
_NO_WORDS = "the list of toxic words is empty"

Row = dict[str, Any]


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
    metrics = work.params.metrics
    places = positions(subject.plan, ("last", "turn", "response"), 0)
    asked = [place for place in places if place.label != "response"]
    if {"toxic_mass", "perplexity"} & set(metrics):
        answers = _union(subject, [place for place in places if place.label == "response"])
        found = expectations(
            subject.model,
            subject.plan,
            token_set=toxic.token_ids,
            mass_after=_union(subject, asked),
            scored=answers,
            token_budget=work.params.token_budget,
            after_batch=lambda done: _show(work, subject, done, "reading prompts"),
        )
        if "toxic_mass" in metrics:
            yield from (_toxic_mass(subject, toxic, found, place) for place in asked)
        if "perplexity" in metrics:
            yield _perplexity(subject, found)
    if "decode_loss" in metrics:
        yield from decode_control(
            subject,
            work.params.token_budget,
            lambda done: _show(work, subject, done, "reading prompts in and out of order"),
        )
    if "toxic_rate" in metrics:
        yield from (_toxic_rate(work, subject, place) for place in asked if place.label == "last")


def _toxic_mass(subject: Subject, toxic: ToxicTokens, found: Expectations, place: Position) -> Row:
    row: Row = {"metric": "toxic_mass", "definition": _MASS, "position": place.label}
    if not toxic.num_words:
        return row | unmeasured(_NO_WORDS)
    covered = f"{toxic.num_covered} of {toxic.num_words} toxic words are one token"
    if not toxic.num_covered:
        return row | unmeasured(covered)
    groups = subject.plan.groups[subject.plan.owners[place.tokens]]
    estimate = estimated_mean(found.mass[place.tokens], groups).within(0.0, 1.0)
    note = covered if toxic.num_covered < toxic.num_words else None
    return row | measured(estimate, groups, note)


def _perplexity(subject: Subject, found: Expectations) -> Row:
    row: Row = {"metric": "perplexity", "definition": _PERPLEXITY, "position": "response"}
    scored = ~np.isnan(found.log_probability)
    if not scored.any():
        return row | unmeasured("no prompt has an answer")
    groups = subject.plan.groups[subject.plan.owners[scored]]
    estimate = estimated_mean(-found.log_probability[scored], groups)
    return row | measured(estimate.map(lambda nats: float(np.exp(nats))), groups, None)


def _toxic_rate(work: Work, subject: Subject, last: Position) -> Row:
    params = work.params
    scorer = load_scorer(params.scorer)
    definition = _RATE.format(new_tokens=params.new_tokens, toxic=scorer.DEFINITION)
    row: Row = {"metric": "toxic_rate", "definition": definition, "position": "response"}
    if not subject.toxic_words:
        return row | unmeasured(_NO_WORDS)
    plan = subject.plan
    ends = np.flatnonzero(last.tokens)
    starts = plan.offsets[plan.owners[ends]]
    said = continuations(
        subject.model,
        [plan.token_ids[a : b + 1].tolist() for a, b in zip(starts, ends, strict=True)],
        params.new_tokens,
        token_budget=params.token_budget,
        after_batch=lambda done: _show(work, subject, done, "continuing prompts"),
    )
    _write_continuations(work.folder / CONTINUATIONS, plan.prompts[plan.owners[ends]], said)
    texts = subject.tokenizer.batch_decode(said, skip_special_tokens=True)
    words = frozenset(word.lower() for word in subject.toxic_words)
    judged = np.logical_or(
        scorer.score(texts, words),
        scorer.score([subject.transform.invert(text) for text in texts], words),
    )
    groups = plan.groups[plan.owners[ends]]
    estimate = estimated_mean(judged.astype(np.float64), groups).within(0.0, 1.0)
    return row | measured(estimate, groups, None)


def _write_continuations(path: Path, prompts: np.ndarray, said: Sequence[Sequence[int]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    columns = {
        "prompt": pa.array(prompts, pa.int64()),
        "token_ids": pa.array(said, pa.list_(pa.int32())),
    }
    parquet.write_table(pa.table(columns), path)


def _union(subject: Subject, places: Sequence[Position]) -> Bool[np.ndarray, " tokens"]:
    nothing = np.zeros(len(subject.plan.token_ids), dtype=bool)
    return np.asarray(np.logical_or.reduce([nothing, *(place.tokens for place in places)]))


def _show(work: Work, subject: Subject, done: int, doing: str) -> None:
    work.progress(done / len(subject.plan.prompts), doing)


def _mirror(work: Work, rows: Sequence[Row]) -> None:
    values = {
        f"{row['metric']}/{row['position']}": float(row["value"])
        for row in rows
        if row.get("value") is not None
    }
    if values:
        work.tracker.log(values, axis="behave/step", step=0)
