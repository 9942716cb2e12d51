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
