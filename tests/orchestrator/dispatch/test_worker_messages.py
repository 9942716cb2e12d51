import errno
import json

import pytest

from cluster.errors import OutOfMemory, SurroundingsError, UserError
from cluster.executor import Ending, Outcome
from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from jobs.artifacts.job import InputRef, Job
from jobs.worker.answer import Answer, Code, Fault, State
from jobs.worker.assignment import Assignment
from orchestrator.dispatch.worker_messages import Assigner, result_of
from orchestrator.records.failure import Result
from orchestrator.records.root_file import root_id

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


def sent(root):
    assigner = Assigner(storage=Storage(root), root_id="root", study="study", commit="abc")
    return Assignment.from_json(assigner.assignment(JOB, "1-000001").to_json())


def test_an_assignment_holds_what_the_worker_needs(tmp_path):
    assignment = sent(tmp_path)
    assert assignment.root == str(tmp_path)
    assert assignment.key == JOB.key
    assert assignment.params == JOB.params
    assert assignment.pins == {"hf://model": "revision"}
    assert (assignment.attempt, assignment.commit) == ("1-000001", "abc")


def test_only_inputs_that_params_use_are_sent(tmp_path):
    assert sent(tmp_path).inputs == {"pairs": [REF]}


def test_no_param_is_sent_twice(tmp_path):
    assignment = sent(tmp_path)
    assert assignment.own_params == {"source": "/somewhere/data.jsonl"}


def test_the_mirror_is_told_digests_and_never_paths(tmp_path):
    run_name = sent(tmp_path).run_name
    place = {"stage": "aligned", "kind": JOB.kind, "key": JOB.key, "study": "study", "root": "root"}
    assert run_name.config == {"source": "digest", "beta": 0.1, "model": "small", **place}
    assert run_name.tags == ["study", "aligned", JOB.kind]
    assert run_name.launch == "1"
    assert run_name.label == "aligned[model=small]"


def test_json_of_another_version_or_without_a_field_is_refused(tmp_path):
    assigner = Assigner(storage=Storage(tmp_path), root_id="root", study="study", commit="abc")
    written = json.loads(assigner.assignment(JOB, "1-000001").to_json())
    for version in (0, None):
        with pytest.raises(SurroundingsError, match="same version of deltascale"):
            Assignment.from_json(json.dumps({**written, "version": version}))
    del written["threads"]
    with pytest.raises(TypeError, match="threads"):
        Assignment.from_json(json.dumps(written))
    with pytest.raises(SurroundingsError, match="answers of version"):
        Answer.from_json(json.dumps({"state": "done", "seconds": 1.0, "error": None}))


def test_the_identity_of_a_root_is_drawn_once(tmp_path):
    assert root_id(Storage(tmp_path / "one")) == root_id(Storage(tmp_path / "one"))
    assert root_id(Storage(tmp_path / "one")) != root_id(Storage(tmp_path / "other"))


def returned(state, fault_class=None):
    fault = fault_class and Fault(code=Code.FAULT, message="m", fault_class=fault_class)
    answer = Answer(state=state, seconds=2.5, fault=fault).to_json()
    return Outcome(ticket="t", ending=Ending.RETURNED, answer=answer)


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (returned(State.DONE), Result.DONE),
        (returned(State.REUSED), Result.REUSED),
        (returned(State.BUSY), Result.BUSY),
        (returned(State.STOPPED), Result.CANCELLED),
        (returned(State.FAILED, FaultClass.MISTAKE), Result.MISTAKE),
        (returned(State.FAILED, FaultClass.OUT_OF_MEMORY), Result.OUT_OF_MEMORY),
        (returned(State.FAILED, FaultClass.STORAGE_FULL), Result.ERROR),
        (returned(State.FAILED, FaultClass.PROGRAM), Result.ERROR),
        (Outcome(ticket="t", ending=Ending.RAISED, error="m"), Result.ERROR),
        (Outcome(ticket="t", ending=Ending.LOST, error="m"), Result.LOST),
        (Outcome(ticket="t", ending=Ending.CANCELLED, error="m"), Result.CANCELLED),
    ],
)
def test_every_ending_has_one_meaning(outcome, result):
    attempt = result_of(outcome)
    assert attempt.result is result
    if result in (Result.MISTAKE, Result.ERROR, Result.LOST, Result.OUT_OF_MEMORY):
        assert attempt.message == "m"


@pytest.mark.parametrize(
    ("error", "code", "fault_class"),
    [
        (OutOfMemory("no room"), Code.OUT_OF_MEMORY, FaultClass.OUT_OF_MEMORY),
        (UserError("wrong"), Code.USER_MISTAKE, FaultClass.MISTAKE),
        (SurroundingsError("down"), Code.SURROUNDINGS, FaultClass.UNKNOWN),
        (ValueError("bug"), Code.FAULT, FaultClass.PROGRAM),
        (OSError(errno.ENOSPC, "full"), Code.SURROUNDINGS, FaultClass.STORAGE_FULL),
    ],
)
def test_every_error_has_a_code_and_a_class_that_cross_processes(error, code, fault_class):
    answer = Answer(state=State.FAILED, fault=Fault.of(error))
    again = Answer.from_json(answer.to_json())
    assert again == answer and again.fault.code is code and str(error) in again.fault.message
    assert again.fault.fault_class is fault_class


def test_an_answer_of_a_version_without_classes_is_read_by_its_code():
    answer = Answer(state=State.FAILED, fault=Fault.of(UserError("wrong")))
    written = json.loads(answer.to_json())
    del written["error"]["fault_class"]
    assert Answer.from_json(json.dumps(written)) == answer
