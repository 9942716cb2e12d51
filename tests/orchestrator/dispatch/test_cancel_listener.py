"""A job that runs in the process of its launch hears that it is to be cancelled."""

import pytest

from orchestrator.dispatch.requests import ask_to_cancel
from orchestrator.dispatch.watcher import Watcher
from orchestrator.records.events import Ended, LaunchState
from orchestrator.records.failure import Result
from orchestrator.records.ledger import read_events


@pytest.mark.parametrize("chosen", ["one job", "everything"])
def test_a_job_in_the_process_of_its_launch_is_cancelled_while_it_runs(launch, make_probe, chosen):
    endless, other = make_probe(0, seconds=3600), make_probe(1)
    keys = [endless.key] if chosen == "one job" else None

    class Cancels(Watcher):
        def note_start(self, job, attempt):
            if job.key == endless.key:
                ask_to_cancel(launch.root, "study", keys)

    report = launch([endless, other], watcher=Cancels())

    if keys is None:
        assert report.state is LaunchState.CANCELLED and report.ran == []
    else:
        assert report.cancelled == [endless.key] and report.ran == [other.key]
    (ended,) = [
        event
        for event in read_events(launch.root, "study")
        if isinstance(event, Ended) and event.key == endless.key
    ]
    assert ended.result is Result.CANCELLED and "saved its work" in ended.message
