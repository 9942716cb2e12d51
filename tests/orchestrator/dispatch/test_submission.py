import json

import pytest

from cluster.executor import Ending, Outcome
from cluster.storage import Storage
from jobs.artifacts.job import InputRef, Job
from orchestrator.dispatch.submission import Origin, answer_of, root_id
from orchestrator.records.failure import Result

REF = InputRef(kind="pairs", key="a" * 64, stage="pairs", cell={"condition": "plain"})
JOB = Job(
    kind="align",
    version=3,
    params={"source": "/somewhere/data.jsonl", "beta": 0.1},
    identity_params={"source": "digest", "beta": 0.1},
    pins={"hf://model": "revision"},
    inputs={"pairs": [REF], "reference": [REF]},
    used=frozenset({"pairs"}),
    stage="aligned",
    cell={"model": "small"},
)


def payload(root):
    origin = Origin(storage=Storage(root), root_id="root", study="study", commit="abc")
    return json.loads(origin.payload(JOB, "1-000001"))


def test_a_payload_holds_what_the_worker_needs(tmp_path):
    sent = payload(tmp_path)
    assert sent["root"] == str(tmp_path)
    assert sent["key"] == JOB.key
    assert sent["params"] == JOB.params
    assert sent["pins"] == {"hf://model": "revision"}
    assert (sent["attempt"], sent["commit"], sent["version"]) == ("1-000001", "abc", 3)


def test_only_inputs_that_params_use_are_sent(tmp_path):
    assert payload(tmp_path)["inputs"] == {
        "pairs": [
            {"kind": "pairs", "key": "a" * 64, "stage": "pairs", "cell": {"condition": "plain"}}
        ]
    }


def test_the_mirror_is_told_digests_and_never_paths(tmp_path):
    tracking = payload(tmp_path)["tracking"]
    assert tracking["config"] == {"source": "digest", "beta": 0.1}
    assert tracking["label"] == "aligned[model=small]"


def test_the_identity_of_a_root_is_drawn_once(tmp_path):
    assert root_id(Storage(tmp_path / "one")) == root_id(Storage(tmp_path / "one"))
    assert root_id(Storage(tmp_path / "one")) != root_id(Storage(tmp_path / "other"))


def returned(state, error=None):
    answer = json.dumps({"state": state, "seconds": 2.5, "error": error})
    return Outcome(ticket="t", ending=Ending.RETURNED, answer=answer)


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (returned("done"), Result.DONE),
        (returned("reused"), Result.REUSED),
        (returned("busy"), Result.BUSY),
        (returned("stopped"), Result.CANCELLED),
        (returned("failed", {"type": "E", "message": "m", "user": True}), Result.MISTAKE),
        (returned("failed", {"type": "E", "message": "m", "user": False}), Result.ERROR),
        (Outcome(ticket="t", ending=Ending.RAISED, error="m"), Result.ERROR),
        (Outcome(ticket="t", ending=Ending.LOST, error="m"), Result.LOST),
        (Outcome(ticket="t", ending=Ending.CANCELLED, error="m"), Result.CANCELLED),
    ],
)
def test_every_ending_has_one_meaning(outcome, result):
    answer = answer_of(outcome)
    assert answer.result is result
    if result in (Result.MISTAKE, Result.ERROR, Result.LOST):
        assert answer.message == "m"
