"""Launches in processes of their own, on one root: sharing jobs, dying, being interrupted."""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from orchestrator.dispatch.requests import ask_to_cancel
from orchestrator.dispatch.watcher import Watcher
from orchestrator.records.events import Ended, LaunchState, Submitted
from orchestrator.records.failure import Result
from orchestrator.records.history import gather
from orchestrator.records.ledger import read_events

TICK = threading.Event()  # never set: a pause between two looks
PROGRAM = textwrap.dedent(
    """
    import sys
    from cluster.executors.local import Executor
    from cluster.storage import Storage
    from jobs.artifacts.job import Job
    from jobs.params import execution_names
    from jobs.kinds.probe import Probe

    probe = Probe()
    from orchestrator.dispatch.execution import run_study
    from orchestrator.records.launch_id import new_launch_id
    from orchestrator.records.history import read_history

    EXECUTION = execution_names(probe.Params)

    class Speaking:
        def note_start(self, job, attempt):
            print("started", job.key, flush=True)
        def note_end(self, job, attempt, result, message): ...
        def note_drop(self, job, state, because): ...
        def note_wait(self, wait): ...
        def tick(self, counts): ...

    root, study, count, seconds = sys.argv[1:]
    jobs = []
    for index in range(int(count)):
        params = probe.Params(index=index, seconds=float(seconds))
        jobs.append(
            Job(
                kind="probe",
                version=probe.VERSION,
                params=params.model_dump(),
                identity_params=params.model_dump(exclude=EXECUTION),
                stage="probes",
                cell={"index": str(index)},
            )
        )
    report = run_study(
        jobs, done=set(), storage=Storage(root), study=study, launch=new_launch_id(),
        executor=Executor(), executor_name="local", past=read_history(Storage(root), study),
        watcher=Speaking(),
    )
    print("ran", *report.ran)
    sys.exit(report.exit_code)
    """
)


@pytest.fixture
def start(root):
    begun = []

    def begin(study: str, count: int, seconds: float) -> subprocess.Popen:
        words = [sys.executable, "-c", PROGRAM, root.url, study, str(count), str(seconds)]
        begun.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def ran_by(output: str) -> list[str]:
    return next(line for line in output.splitlines() if line.startswith("ran")).split()[1:]


def test_two_studies_that_share_jobs_compute_each_of_them_once(start, root):
    one, other = start("one", 25, 0.02), start("other", 25, 0.02)
    outputs = [process.communicate(timeout=60)[0] for process in (one, other)]

    assert [one.returncode, other.returncode] == [0, 0]
    ran = [key for output in outputs for key in ran_by(output)]
    assert len(ran) == len(set(ran)) == 25
    attempts = [
        root.list(f"artifacts/probe/{name}/attempts") for name in root.list("artifacts/probe")
    ]
    assert [len(found) for found in attempts] == [1] * 25


def test_a_job_that_another_process_is_at_is_waited_for_and_taken_over(
    start, root, make_probe, launch
):
    other = start("other", 1, 3600)
    assert other.stdout.readline().startswith("started")
    job = make_probe(0)
    artifact = launch.artifact(job)
    _until_running(artifact)

    class KillsTheOther(Watcher):
        def note_end(self, job, attempt, result, message):
            if result is Result.BUSY:
                other.kill()

    report = launch([job], watcher=KillsTheOther())

    assert report.ran == [job.key]
    results = [e.result for e in read_events(root, "study") if isinstance(e, Ended)]
    assert results[0] is Result.BUSY
    assert results[-1] is Result.DONE
    assert gather(read_events(root, "study")).of_job(job.key).num_attempts == 1


def test_a_shared_job_that_is_cancelled_here_goes_on_in_the_other_study(
    start, root, make_probe, launch
):
    other = start("other", 1, 3.0)
    assert other.stdout.readline().startswith("started")
    job = make_probe(0)
    _until_running(launch.artifact(job))

    class Cancels(Watcher):
        def note_end(self, job, attempt, result, message):
            if result is Result.BUSY:
                ask_to_cancel(root, "study", [job.key])

    report = launch([job], watcher=Cancels())

    assert report.cancelled == [job.key] and not report.ran
    output, _ = other.communicate(timeout=60)
    assert other.returncode == 0 and ran_by(output) == [job.key]


def test_ctrl_c_stops_the_running_job_keeps_the_ledger_and_exits_130(
    start, root, make_probe, launch
):
    process = start("study", 3, 3600)
    assert process.stdout.readline().startswith("started")
    job = make_probe(0)
    _until_running(launch.artifact(job))

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)

    assert process.returncode == 130
    history = gather(read_events(root, "study"))
    assert history.ended.state == LaunchState.INTERRUPTED.value
    assert history.of_job(job.key).result is Result.CANCELLED
    assert not history.of_job(job.key).failures


def test_a_launch_killed_with_sigkill_is_completed_by_the_next_one(start, root, launch, make_probe):
    process = start("study", 40, 0.05)
    for _ in range(10):
        assert process.stdout.readline().startswith("started")
    process.kill()
    process.communicate()
    jobs = [make_probe(index) for index in range(40)]
    done_before = [job.key for job in jobs if launch.artifact(job).find_record()]
    assert 0 < len(done_before) < 40

    report = launch(jobs)

    assert report.state is LaunchState.COMPLETE
    assert sorted(report.ran + done_before) == sorted(job.key for job in jobs)
    submitted = [e.attempt for e in read_events(root, "study") if isinstance(e, Submitted)]
    assert len(submitted) == len(set(submitted))


def _until_running(artifact) -> None:
    """Return once an attempt at the job has said how far it is."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        folders = [artifact.attempt_folder(attempt) for attempt in artifact.attempts()]
        if any(artifact.storage.exists(f"{folder}/progress.json") for folder in folders):
            return
        TICK.wait(0.02)
    raise AssertionError("no attempt began")
