"""A coordinator that slept while its lock was taken, in a process of its own: it writes no more."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from cluster.locks.lease_protocol import Terms
from cluster.storage import Storage
from orchestrator.dispatch.requests import ask_to_cancel
from orchestrator.records.lock import current_holder, study_lock

PROGRAM = textwrap.dedent(
    """
    import sys
    from cluster.executors.local import Executor
    from cluster.locks.lease_protocol import Terms
    from cluster.storage import Storage
    from jobs.artifacts.artifact import Artifact
    from jobs.artifacts.job import Job
    from jobs.params import execution_names
    from jobs.kinds.probe import Probe
    from orchestrator.dispatch.execution import run_study
    from orchestrator.records.launch_id import new_launch_id
    from orchestrator.dispatch.watcher import Watcher
    from orchestrator.records.history import read_history
    from orchestrator.records.lock import study_lock

    class Speaking(Watcher):
        def note_start(self, job, attempt):
            print("started", flush=True)

    Terms.__init__.__defaults__ = (0.3, 1.5, 3.0)
    root, probe, launch = Storage(sys.argv[1]), Probe(), new_launch_id()
    jobs = []
    for index in range(50):
        params = probe.Params(index=index, seconds=0.2)
        jobs.append(Job(
            kind="probe", version=probe.VERSION, params=params.model_dump(),
            identity_params=params.model_dump(exclude=execution_names(probe.Params)),
            stage="probes", cell={"index": str(index)},
        ))
    # The last one is damaged, so that this launch has a record to retire.
    last = Artifact(root, "probe", jobs[-1].key)
    root.write(last.record_name, b"damaged")
    print(last.record_name, flush=True)
    with study_lock(root, "study", launch) as held:
        run_study(
            jobs, done=set(), storage=root, study="study", launch=launch, executor=Executor(),
            executor_name="local", past=read_history(root, "study"), watcher=Speaking(), held=held,
        )
    """
)


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_path):
    if request.param == "s3":
        return Storage(f"{request.getfixturevalue('bucket')}/root")
    return Storage(tmp_path)


@pytest.fixture
def sleeper(root):
    """A launch that was stopped, with SIGSTOP, soon after it began."""
    words = [sys.executable, "-c", PROGRAM, root.url]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.damaged = process.stdout.readline().strip()
    assert process.stdout.readline() == "started\n", process.communicate()
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    yield process
    process.kill()
    process.communicate()


def take_from_sleeper(root, monkeypatch):
    """Take the lock of one that sleeps: by waiting on object storage, on a disk by force."""
    monkeypatch.setattr(Terms.__init__, "__defaults__", (0.3, 1.5, 3.0))
    if root.is_local:
        root.path("studies/study/lock").unlink()
    until = time.monotonic() + 60
    while current_holder(root, "study") is not None:
        assert time.monotonic() < until
        time.sleep(0.1)
    return study_lock(root, "study", "mine")


def test_it_wakes_after_its_lock_was_taken_and_writes_nothing_more(root, sleeper, monkeypatch):
    with take_from_sleeper(root, monkeypatch) as mine:
        ask_to_cancel(root, "study", None)
        root.write("studies/study/index.json", b"mine")
        before = {name: root.read(name) for name in root.walk("studies/study")}
        sleeper.send_signal(signal.SIGCONT)
        output, errors = sleeper.communicate(timeout=60)
        assert "LockLost" in errors
        assert "started" not in output
        mine.confirm()
        after = {name: root.read(name) for name in root.walk("studies/study")}
    # Its own ledger and telemetry are no other launch's; the lock's objects are the lock's.
    for files in (before, after):
        for name in list(files):
            if "/ledger/" in name or "/telemetry/" in name or "/lock" in name:
                del files[name]
    assert after == before
    assert root.read(sleeper.damaged) == b"damaged"
