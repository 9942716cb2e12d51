"""A live run whose W&B hangs leaves a few threads behind, not one for every row of a month."""

import threading

import pytest

from jobs.mirror import study_run
from jobs.mirror.study_run import StudyRun


def test_a_run_that_hangs_is_left_alone_after_a_few_calls(monkeypatch):
    goes_on = threading.Event()

    class Run:
        num_calls = 0

        def define_metric(self, name, step_metric):
            pass

        def log(self, row):
            self.num_calls += 1
            goes_on.wait()

    monkeypatch.setattr(study_run, "GRACE_S", 0.01)
    run = Run()
    live = StudyRun(None, run)
    try:
        for _ in range(10):
            with pytest.raises(TimeoutError):
                live.log(1.0, {"jobs/done": 1.0})
        assert run.num_calls == study_run._MOST_HUNG
    finally:
        goes_on.set()
