"""A worker's answer about a job that fails, asked to stop or not."""

import json

import pytest

from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs import run
from jobs.artifacts.artifact import Artifact


def spec(root, **changed):
    return json.dumps(
        {
            "root": str(root),
            "kind": "probe",
            "key": "0" * 64,
            "attempt": "a1",
            "params": {"index": 0, "seconds": 1.0},
            "inputs": {},
            "threads": 1,
            "commit": None,
            "tracking": {
                "root_id": "r",
                "key": "0" * 64,
                "study": "s",
                "kind": "probe",
                "label": "p",
                "folder": str(root),
                "config": {},
            },
        }
        | changed
    )


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
    answer = json.loads(run.run(spec(tmp_path), surroundings))
    assert answer["state"] == state
    assert (answer["error"] is None) is stops
    assert Artifact(Storage(str(tmp_path)), "probe", "0" * 64).find_record() is None
