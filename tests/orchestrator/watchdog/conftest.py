"""Launches on a `Fleet`."""

import pytest

from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.dispatch.watcher import Watcher
from orchestrator.records.events import Ended, LaunchState
from orchestrator.records.ledger import read_events


@pytest.fixture
def run(launch, make_probe, root):
    """Launch one probe on a fleet; return its endings and what was told."""

    def run_on(fleet, **more):
        class Notes(Watcher):
            def note_liveness(self, job, attempt, text):
                fleet.texts.append(text)

        fleet.root = root
        patience = Patience(clock=lambda: fleet.now, sleep=lambda s: None, draw=lambda: 0.5)
        options = {"executor": fleet, "watcher": Notes(), "patience": patience, **more}
        report = launch([make_probe(0)], executor_name="fleet", **options)
        assert report.state is LaunchState.COMPLETE
        return [event for event in read_events(root, "study") if isinstance(event, Ended)]

    return run_on
