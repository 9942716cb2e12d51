"""Where a study's time went, read from ledgers as launches leave them: ended, killed, waiting."""

import pytest

from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from jobs.comparing.reporting.time_use import Fate
from orchestrator.plan.decided_plan import decide, plan_study
from orchestrator.records.events import (
    Ended,
    Holding,
    LaunchEnded,
    LaunchStarted,
    Submitted,
    Waiting,
)
from orchestrator.records.failure import Result
from orchestrator.records.history import read_history
from orchestrator.records.ledger import Ledger
from orchestrator.study.study import load_study
from orchestrator.views.time_use import time_use
from tests.chain import CHAIN, finish

T0 = 1_790_000_000.0


@pytest.fixture
def study(tmp_path):
    """Root, study, and its jobs."""
    file = tmp_path / "chain.yaml"
    file.write_text(CHAIN)
    root, study = Storage(tmp_path / "root"), load_study(file)
    return root, study, plan_study(root, study).jobs


def write(root, launch, events):
    ledger = Ledger(root, "chain", launch)
    about = {"host": "h", "pid": 1, "executor": "local", "fresh": False}
    ledger.append(LaunchStarted(at=events[0].at, launch=launch, **about))
    for event in events:
        ledger.append(event)
    ledger.close()


def use_of(root, study):
    return time_use(root, decide(plan_study(root, study), root, read_history(root, "chain")))


def test_attempts_waits_and_the_end_of_a_killed_launch_are_read_back(study):
    root, chain, jobs = study
    one, two = jobs[0], jobs[1]
    write(
        root,
        "20260101T000000-a",
        [
            Submitted(at=T0, key=one.key, attempt="a1", num_gpus=2),
            Submitted(at=T0, key=two.key, attempt="a2"),
            Ended(
                at=T0 + 100, key=one.key, attempt="a1", result=Result.ERROR, seconds=70.0,
                held=100.0, node="n1", message="broke\nmore", fault_class=FaultClass.PROGRAM,
            ),
            Waiting(
                at=T0 + 110, since=T0 + 105, fault_class=FaultClass.STORAGE_FULL, message="full"
            ),
            Waiting(at=T0 + 130),
            Holding(at=T0 + 200, seconds=200.0),
        ],
    )  # fmt: skip
    write(
        root,
        "20260102T000000-b",
        [
            Submitted(at=T0 + 9000, key=one.key, attempt="b1"),
            Ended(at=T0 + 9010, key=one.key, attempt="b1", result=Result.DONE, seconds=8.0),
            Submitted(at=T0 + 9010, key=two.key, attempt="b2"),
            Ended(at=T0 + 9011, key=two.key, attempt="b2", result=Result.BUSY, seconds=0.0),
            LaunchEnded(at=T0 + 9020, launch="b", state="complete"),
        ],
    )
    use = use_of(root, chain)
    failed, killed, done = use.spans
    assert (failed.fate, failed.node, failed.why) == (Fate.FAILED, "n1", "broke")
    assert (failed.began - T0, failed.ended - T0, failed.gpu_hours) == (30, 100, 200 / 3600)
    assert (killed.fate, killed.began - T0, killed.ended - T0) == (Fate.FAILED, 0, 200)
    assert (done.fate, done.began - T0, done.ended - T0) == (Fate.DONE, 9000, 9008)
    assert use.launches == [(T0, T0 + 200), (T0 + 9000, T0 + 9020)]
    ((wait),) = use.waits
    assert (wait.began - T0, wait.ended - T0, wait.why) == (105, 130, "full")
    assert use.stages == ["base", "next", "last"]


def test_jobs_that_are_done_and_were_never_tried_here_are_reused(study):
    root, chain, jobs = study
    finish(root, jobs[0])
    use = use_of(root, chain)
    assert use.spans == [] and use.reused["base"].jobs == 1
    assert use.reused["base"].hours is not None


def test_a_root_without_a_ledger_has_no_time(study):
    root, chain, _ = study
    assert use_of(root, chain).launches == []
