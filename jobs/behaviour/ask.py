"""Kind `ask`: behaviour of a model behind an endpoint, as measurements; no text is kept.

Measured as `behave` measures a model whose weights are here, as far as answers show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np

from analysis.long_table.columns import ENDPOINT
from jobs.behaviour.ask_params import AskParams
from jobs.behaviour.behaviour_values import BehaviourValues
from jobs.behaviour.endpoint_requests import Conversation, EndpointRequests, conversation_of
from jobs.behaviour.prompted_model import NO_WORDS, load_toxic_words
from jobs.behaviour.scored_params import JUDGED
from jobs.behaviour.scorer import Judge, chosen_scorer
from jobs.behaviour.toxicity import measure_toxicity, score_texts
from jobs.behaviour.unigram_f1 import word_f1, word_f1_values
from jobs.models.model_facts import MODEL_FACTS
from jobs.service.answer_log import AnswerLog, Reading
from jobs.service.credentials import read_key
from jobs.service.endpoint import Completion, Endpoint
from jobs.service.faults import NoAnswer, plain_name
from jobs.service.retrying import RateLimit, ask_with_retries
from jobs.text.prompt_lines import PROMPTS, read_prompts
from jobs.text.transform import load_transform
from jobs.worker.measured_rows import write_measurements
from jobs.worker.work import Work


def ask(work: Work[AskParams]) -> dict[str, object]:
    """Ask every prompt, measure the answers and write the rows; return the record's facts."""
    prompts = work.input("prompts")
    lines = [conversation_of(line) for line in read_prompts(prompts.path(PROMPTS))]
    conversations = [line for line in lines if line.messages]
    words = load_toxic_words(work)
    scorer = chosen_scorer(work.params.scorer)
    wordless = NO_WORDS if scorer.uses_words and not words else None
    judge = scorer.open(work, words)
    if wordless and "word_f1" not in work.params.metrics:
        conversations = []  # there is nothing to read off an answer
    readings, requests = _send(work, conversations, judge)
    answered = [item for item in conversations if item.prompt in readings]
    note = f"{len(conversations) - len(answered)} of {len(conversations)} prompts have no answer"
    about = {**dict.fromkeys(MODEL_FACTS), "family": ENDPOINT}
    measurements = [
        replace(values, note=note if requests.missing else values.note).measured()
        for values in _measure(work.params, answered, readings, judge, wordless)
    ]
    return {
        "model": {**about, "name": work.params.model},
        "served": sorted({plain_name(reading["served"]) for reading in readings.values()}),
        "rows": write_measurements(work.folder, measurements, about),
        "num_prompts": len(lines),
        "num_answered": len(answered),
        "num_taken_over": requests.log.num_taken_over,
        "missing": dict(requests.missing),
    }


def _send(
    work: Work[AskParams], conversations: Sequence[Conversation], judge: Judge
) -> tuple[dict[int, Reading], EndpointRequests[Conversation, Completion]]:
    """Return what was read off the answers by prompt, and the requests, which count the missing."""
    params = work.params
    rate_limit = RateLimit(params.requests_per_minute, lambda: work.stop_requested)
    transform = load_transform(work.input("prompts").facts["transform"])
    settings: dict[str, object] = {params.tokens_field: params.new_tokens}
    if params.temperature is not None:
        settings["temperature"] = params.temperature
    endpoint = Endpoint(
        base_url=params.base_url,
        model=params.model,
        key=read_key(params.api_key_variable),
        timeout_s=params.timeout_s,
        at_once=params.at_once,
    )

    def send(conversation: Conversation) -> Completion:
        return ask_with_retries(
            lambda: endpoint.complete(conversation.messages, settings),
            rate_limit,
            max_retries=params.max_retries,
            first_wait_s=params.first_wait_s,
        )

    def read(conversation: Conversation, answer: Completion) -> Reading:
        score = None
        if not JUDGED.isdisjoint(params.metrics):
            (score,) = score_texts([answer.text], transform, judge).tolist()
            if np.isnan(score):
                raise NoAnswer("the scorer has no score for the answer")
        reference = conversation.reference
        f1 = None if reference is None else word_f1(answer.text, reference)
        return {"served": answer.served, "score": score, "f1": f1}

    requests = EndpointRequests(
        work=work,
        send=send,
        read=read,
        log=AnswerLog(work.attempt, "answers"),
        most_missing=int(params.max_missing * len(conversations)),
    )
    with closing(endpoint):
        return requests.readings(conversations, params.at_once), requests


def _measure(
    params: AskParams,
    answered: Sequence[Conversation],
    readings: Mapping[int, Reading],
    judge: Judge,
    wordless: str | None,
) -> Iterator[BehaviourValues]:
    if not JUDGED.isdisjoint(params.metrics):
        scores = [readings[item.prompt]["score"] for item in answered]
        yield from measure_toxicity(
            params.metrics,
            np.array(scores, dtype=np.float64),
            np.array([item.group for item in answered], dtype=np.int64),
            judge,
            params.new_tokens,
            wordless,
        )
    if "word_f1" in params.metrics:
        compared = [item for item in answered if item.reference is not None]
        scores = [readings[item.prompt]["f1"] for item in compared]
        yield word_f1_values(scores, [item.group for item in compared], params.new_tokens)
