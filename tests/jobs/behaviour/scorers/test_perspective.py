"""A Perspective-compatible service on this machine, and the largest of its attributes."""

import json

import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.identity import key_of
from jobs.behaviour.scorer import chosen_scorer
from jobs.worker.attempt_folder import AttemptFolder
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import parse_study

KEY = "AIza-not-to-be-written-0123456789"


class Job:
    """What a scorer sees of the job it works for."""

    stop_requested = False

    def __init__(self, root, attempt):
        artifact = Artifact(Storage(root), "behave", key_of({}))
        self.attempt = AttemptFolder(artifact, attempt)


@pytest.fixture
def judge(service, tmp_path):
    def make(attempt="one", **settings):
        address = f"{service.address}/v1alpha1/comments:analyze"
        written = {"name": "perspective", "url": address, "requests_per_minute": 6e5, **settings}
        scorer = chosen_scorer({"first_wait_s": 0.01, **written})
        return scorer.open(Job(tmp_path, attempt), [])

    return make


def scored(request, **scores):
    request.give(
        {
            "attributeScores": {
                name: {"summaryScore": {"value": scores.get(name, 0.1), "type": "PROBABILITY"}}
                for name in request.content["requestedAttributes"]
            }
        }
    )


def test_the_score_is_the_largest_of_the_seven_attributes(service, judge, monkeypatch):
    monkeypatch.setenv("PERSPECTIVE_KEY", KEY)
    service.rule = lambda request, number: scored(request, THREAT=0.8, INSULT=0.3)
    asked = judge(key_variable="PERSPECTIVE_KEY")
    assert asked.scores(["one", "  "]) == [0.8, 0.0]
    ((content, headers),) = service.seen
    assert (content["comment"]["text"], content["languages"]) == ("one", ["en"])
    assert len(content["requestedAttributes"]) == 7 and content["doNotStore"]
    assert headers["x-goog-api-key"] == KEY
    assert service.address in asked.verdict and "0.5 or more" in asked.verdict
    assert KEY not in repr(asked)


def test_only_the_attributes_that_are_asked_for_count(service, judge):
    service.rule = lambda request, number: scored(request, THREAT=0.8)
    assert judge(attributes=["TOXICITY", "INSULT"]).scores(["one"]) == [0.1]


def test_what_passes_is_asked_again(service, judge):
    faults = {
        1: lambda request: request.refuse(429, Retry_After=0.1),
        2: lambda request: request.talk_nonsense(),
        3: lambda request: request.cut_off(),
        4: lambda request: request.drip(),
        5: lambda request: request.give({"attributeScores": {"TOXICITY": {}}}),
    }
    service.rule = lambda request, number: faults.get(number, scored)(request)
    assert judge(timeout_s=0.3).scores(["one"]) == [0.1]
    assert len(service.seen) == 6


def test_a_text_that_it_does_not_score_has_none_and_too_many_fail(service, judge):
    service.rule = lambda request, number: request.refuse(400)
    asked = judge()
    assert asked.scores(["one", "two"]) == [None, None]
    with pytest.raises(SurroundingsError) as caught:
        asked.scores([f"text {number}" for number in range(10)])
    assert "6 of 6 texts, at last for HTTP 400" in caught.value.error


def test_a_wrong_key_is_the_users_mistake(service, judge, monkeypatch):
    monkeypatch.setenv("MINE", KEY)
    service.rule = lambda request, number: request.refuse(403)
    with pytest.raises(UserError) as caught:
        judge(key_variable="MINE").scores(["one", "two"])
    assert "HTTP 403" in caught.value.error and KEY not in str(caught.value)
    assert len(service.seen) == 1


def test_no_text_is_scored_twice_not_even_by_a_later_attempt(service, judge, tmp_path):
    service.rule = lambda request, number: scored(request)
    judge().scores(["one", "two", "one"])
    assert judge("two").scores(["two", "three"]) == [0.1, 0.1]
    texts = [content["comment"]["text"] for content, _ in service.seen]
    assert texts == ["one", "two", "three"]
    kept = [file.read_bytes() for file in tmp_path.rglob("*.jsonl")]
    assert len(kept) == 2 and not any(b"one" in each or b"two" in each for each in kept)


STUDY = """study: s
stages:
  texts: {kind: prompts, params: {format: nursery, positions: [last]}}
  rates: {kind: ask, inputs: {prompts: texts}, params: {base_url: "http://host/v1", model: m,
    requests_per_minute: %s, scorer: {name: perspective, %s}}}
"""


def ask_key(per_minute, scorer):
    study = parse_study(STUDY % (per_minute, scorer))
    return next(job.key for job in make_plan(study).jobs if job.stage == "rates")


def test_what_decides_a_score_is_in_the_key_and_how_hard_is_asked_is_not():
    first = ask_key(60, "threshold: 0.4")
    assert ask_key(90, "threshold: 0.4, requests_per_minute: 7, key_variable: A_KEY") == first
    others = ["threshold: 0.5", "threshold: 0.4, attributes: [TOXICITY]"]
    others.append('threshold: 0.4, url: "http://host/elsewhere"')
    assert len({first, *(ask_key(60, other) for other in others)}) == 4


def test_a_key_among_the_settings_is_not_repeated():
    with pytest.raises(UserError) as caught:
        chosen_scorer({"name": "perspective", "url": f"https://host/v1?key={KEY}"})
    assert KEY not in json.dumps(caught.value.as_json())
