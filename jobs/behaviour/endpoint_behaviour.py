"""Behaviour of a model behind an endpoint on one set of prompts, as measurements; no text is kept.

As `jobs/behaviour/rates.py` measures a model whose weights are here, as far as answers show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.long_table.columns import ENDPOINT
from jobs.behaviour.asked_prompts import AskedPrompts, Reading
from jobs.behaviour.conversation import Conversation, conversation
from jobs.behaviour.outcome import Outcome
from jobs.behaviour.scorer import Judge, chosen_scorer
from jobs.behaviour.subject import NO_WORDS, toxic_words_of
from jobs.behaviour.token_f1 import word_f1, word_f1_outcome
from jobs.behaviour.toxicity import METRICS as TOXIC
from jobs.behaviour.toxicity import toxic_outcomes, toxicities
from jobs.models.facts import MODEL_FACTS
from jobs.service.answer_log import AnswerLog
from jobs.service.credentials import read_key
from jobs.service.endpoint import Completion, Endpoint
from jobs.service.faults import NoAnswer
from jobs.service.retrying import RateLimit, ask_with_retries
from jobs.text.prompt_lines import PROMPTS, read_prompts
from jobs.text.transform import load_transform
from jobs.worker.measured_rows import write_measurements
from jobs.worker.work import Work

if TYPE_CHECKING:
    from jobs.behaviour.ask_params import Params


def ask(work: Work) -> dict[str, Any]:
    """Ask everything, measure what is asked for and write it; returns the record's facts."""
    prompts = work.input("prompts")
    lines = [conversation(line) for line in read_prompts(prompts.path(PROMPTS))]
    asked = [each for each in lines if each.messages]
    words = toxic_words_of(work)
    scorer = chosen_scorer(work.params.scorer)
    wordless = NO_WORDS if scorer.uses_words and not words else None
    judge = scorer.open(work, words)
    if wordless and "word_f1" not in work.params.metrics:
        asked = []  # there is nothing to read off an answer
    found, missing, num_taken_over = _readings(work, asked, judge)
    answered = [each for each in asked if each.prompt in found]
    note = f"{len(asked) - len(answered)} of {len(asked)} prompts have no answer"
    outcomes = _outcomes(work, answered, found, judge, wordless)
    about = {**dict.fromkeys(MODEL_FACTS), "family": ENDPOINT}
    rows = [
        replace(outcome, note=note if missing else outcome.note).measured() for outcome in outcomes
    ]
    return {
        "model": {**about, "name": work.params.model},
        "served": sorted({str(each["served"]) for each in found.values()}),
        "rows": write_measurements(work.folder, rows, about),
        "num_prompts": len(lines),
        "num_answered": len(answered),
        "num_taken_over": num_taken_over,
        "missing": dict(missing),
    }


def _readings(
    work: Work, asked: Sequence[Conversation], judge: Judge
) -> tuple[dict[int, Reading], Mapping[str, int], int]:
    """What was read off the answers, why some are missing, how many earlier attempts had asked."""
    params = work.params
    endpoint = _endpoint(params)
    pace = RateLimit(params.requests_per_minute, lambda: work.stop_requested)
    transform = load_transform(work.input("prompts").facts["transform"])
    settings = {params.tokens_field: params.new_tokens}
    if params.temperature is not None:
        settings["temperature"] = params.temperature

    def answer(asked: Conversation) -> Completion:
        return ask_with_retries(
            lambda: endpoint.complete(asked.messages, settings),
            pace,
            max_retries=params.max_retries,
            first_wait_s=params.first_wait_s,
        )

    def read(asked: Conversation, answer: Completion) -> Reading:
        score = None
        if not TOXIC.isdisjoint(params.metrics):
            (score,) = toxicities([answer.text], transform, judge).tolist()
            if np.isnan(score):
                raise NoAnswer("the scorer has no score for the answer")
        f1 = None if asked.reference is None else word_f1(answer.text, asked.reference)
        return {"served": answer.served, "score": score, "f1": f1}

    kept = AnswerLog(work.attempt, "answers")
    all_of_them = AskedPrompts(
        work=work,
        ask=answer,
        read=read,
        kept=kept,
        most_missing=int(params.max_missing * len(asked)),
    )
    try:
        return all_of_them.readings(asked, params.at_once), all_of_them.missing, kept.num_taken_over
    finally:
        endpoint.close()


def _endpoint(params: Params) -> Endpoint:
    return Endpoint(
        base_url=params.base_url,
        model=params.model,
        key=read_key(params.api_key_variable),
        timeout_s=params.timeout_s,
        at_once=params.at_once,
    )


def _outcomes(
    work: Work,
    answered: Sequence[Conversation],
    found: Mapping[int, Reading],
    judge: Judge,
    wordless: str | None,
) -> Iterator[Outcome]:
    params = work.params
    if not TOXIC.isdisjoint(params.metrics):
        scores = [found[each.prompt]["score"] for each in answered]
        yield from toxic_outcomes(
            params.metrics,
            np.array(scores, dtype=np.float64),
            np.array([each.group for each in answered], dtype=np.int64),
            judge,
            params.new_tokens,
            wordless,
        )
    if "word_f1" in params.metrics:
        compared = [each for each in answered if each.reference is not None]
        scores = [found[each.prompt]["f1"] for each in compared]
        yield word_f1_outcome(scores, [each.group for each in compared], params.new_tokens)
