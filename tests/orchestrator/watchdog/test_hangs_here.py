"""Jobs that hang in the process of the launch itself, under the executor `local`."""

import threading

import pytest

from orchestrator.dispatch import hang_watch, submitter
from orchestrator.records.events import Ended, LaunchState
from orchestrator.records.failure import Result
from orchestrator.records.ledger import read_events
from orchestrator.watchdog.limits import Limits
from tests.orchestrator.watchdog import hanging


@pytest.fixture
def quick(monkeypatch):
    """Beats and looks ten times as often as usual; steps of the probe likewise."""
    from jobs.liveness import beating

    every_s = {True: 0.2, False: 0.2}
    monkeypatch.setattr(beating, "BEAT_EVERY_S", every_s)
    monkeypatch.setattr(hang_watch, "BEAT_EVERY_S", every_s)
    monkeypatch.setattr(hang_watch, "_LOOK_EVERY_S", {True: 0.1, False: 0.1})
    monkeypatch.setattr(submitter, "ENTRY", hanging.ENTRY)
    monkeypatch.setattr(hanging, "STEP_S", 0.03)


def test_a_job_that_hangs_here_is_interrupted_with_its_stacks_and_tried_again(
    quick, launch, make_probe, root
):
    job = make_probe(hanging.LOCK)
    report = launch([job], limits=Limits(step_slack_s=0.5))
    assert report.state is LaunchState.COMPLETE
    hung, done = [event for event in read_events(root, "study") if isinstance(event, Ended)]
    assert (hung.result, hung.fault_class.value) == (Result.ERROR, "hung")
    assert "no step for" in hung.message and done.result is Result.DONE
    (kept,) = root.path(launch.artifact(job).folder).glob("attempts/*/stacks/*.txt")
    assert "in _hang" in kept.read_text()
    assert not {"hang watch", "cancel listener"} & {one.name for one in threading.enumerate()}
