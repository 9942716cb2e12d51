"""A worker's answer about a job that fails, asked to stop or not."""

import json

import pytest

from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs import run
from jobs.artifacts.artifact import Artifact
from tests.jobs.assignments import assigned


def payload(root, **changed):
    given = {"kind": "probe", "key": "0" * 64, "own_params": {"index": 0, "seconds": 1.0}}
    return assigned(**{"root": str(root), **given, **changed}).to_json()


class FaultThenStop:
    """Asked for the first time while a library is busy, which makes a fault of the interrupt."""

    def __init__(self, stops):
        self.stops = stops
        self.asked = False

    def __call__(self):
        if self.asked:
            return self.stops
        self.asked = True
        raise SystemError("initialisation raised unreported exception")


@pytest.mark.parametrize(("stops", "state"), [(True, "stopped"), (False, "failed")])
def test_a_fault_of_a_job_that_was_asked_to_stop_is_its_stopping(tmp_path, stops, state):
    surroundings = Surroundings(stop_requested=FaultThenStop(stops))
    answer = json.loads(run.run(payload(tmp_path), surroundings))
    assert answer["state"] == state
    assert (answer["error"] is None) is stops
    assert Artifact(Storage(str(tmp_path)), "probe", "0" * 64).find_record() is None


@pytest.mark.parametrize(
    ("num_gpus", "taken", "fault_class"),
    [(1.0, "GPU 0 is not free", "gpu-taken"), (1.0, None, "out-of-memory"), (0.5, "", None)],
)
def test_memory_that_others_hold_is_no_fault_of_the_layout(
    tmp_path, monkeypatch, num_gpus, taken, fault_class
):
    """On a part of a GPU the others are our own jobs, whose parts are theirs."""
    monkeypatch.setattr(run, "taken_by_others", lambda: taken)
    params = {"index": 0, "holds_gb": 8.0, "limit_gb": 4.0, "num_gpus": num_gpus}
    answer = json.loads(run.run(payload(tmp_path, own_params=params), Surroundings()))
    assert answer["error"]["fault_class"] == (fault_class or "out-of-memory")
    assert ("GPU 0 is not free; 8 GB are more" in answer["error"]["message"]) is bool(taken)
