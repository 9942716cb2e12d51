"""A launch that a script put into the background hears what it is told."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from pkgutil import resolve_name

import psutil
import pytest

from cluster.executors.local import Executor
from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.records.events import Ended, LaunchState, Submitted
from orchestrator.records.failure import Result
from orchestrator.records.history import gather
from orchestrator.records.ledger import read_events
from orchestrator.records.lock import current_holder
from orchestrator.views.progress import PlainLines

CHILD = """
import os, signal, subprocess, sys
from orchestrator.dispatch.interruption import restore_sigint
restore_sigint()
words = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
child.stdout.readline()
child.send_signal(signal.SIGINT)
assert child.wait(30) == -signal.SIGINT, child.returncode
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("heard")
"""


def test_a_launch_started_with_sigint_ignored_hears_it_and_so_do_its_children():
    script = 'trap "" INT; exec "$0" -c "$1"'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable, CHILD], capture_output=True, text=True, timeout=90
    )
    assert done.stdout == "heard\n", done.stderr


PROBE = """\
study: long
stages:
  one: {kind: probe, params: {seconds: 100}}
"""


@pytest.mark.parametrize("number", ["HUP", "USR1", "XCPU"])
def test_every_signal_that_means_stop_ends_a_launch_in_order(tmp_path, number):
    study, root = tmp_path / "long.yaml", tmp_path / "root"
    study.write_text(PROBE)
    words = [sys.executable, "-m", "orchestrator.cli", "launch", str(study), "--root", str(root)]
    launch = subprocess.Popen(
        [*words, "--executor", "local"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        while not list(root.glob("artifacts/probe/*/attempts/*/progress.json")):
            assert launch.poll() is None, launch.communicate()
            time.sleep(0.05)
        launch.send_signal(getattr(signal, f"SIG{number}"))
        output = launch.communicate(timeout=60)[0]
    finally:
        launch.kill()
        launch.communicate()
    assert launch.returncode == 130, output
    events = list(read_events(Storage(root), "long"))
    assert events[-1].state == LaunchState.INTERRUPTED.value
    assert not gather(events).jobs[events[-2].key].failures


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_between_the_start_of_a_job_and_the_wait_for_it_is_heard(
    tmp_path, monkeypatch, number
):
    study, root = tmp_path / "long.yaml", tmp_path / "root"
    study.write_text(PROBE)
    tick, before = PlainLines.tick, signal.getsignal(number)

    def send(self, counts):
        events = read_events(Storage(root), "long")
        if any(isinstance(event, Submitted) for event in events):
            monkeypatch.undo()  # once
            os.kill(os.getpid(), number)
        tick(self, counts)

    monkeypatch.setattr(PlainLines, "tick", send)
    began = time.monotonic()
    try:
        code = main(["launch", str(study), "--root", str(root), "--executor", "local"])
    finally:
        signal.signal(number, before)
    assert code == 130 and time.monotonic() - began < 60  # the job takes 100
    (ended,) = [event for event in read_events(Storage(root), "long") if isinstance(event, Ended)]
    assert ended.result == Result.CANCELLED


def test_jobs_may_save_as_long_as_their_batch_job_says(tmp_path, monkeypatch):
    study, root = tmp_path / "long.yaml", tmp_path / "root"
    study.write_text(PROBE)
    monkeypatch.setenv("DELTASCALE_SAVE_WITHIN", "200s")
    tick, before, cancel = PlainLines.tick, signal.getsignal(signal.SIGUSR1), Executor.cancel
    sent, given = [], []

    def send(self, counts):
        begun = any(isinstance(event, Submitted) for event in read_events(Storage(root), "long"))
        if begun and not sent:
            sent.append(os.kill(os.getpid(), signal.SIGUSR1))
        tick(self, counts)

    def heard(self, ticket, *, within_s=None):
        given.append(within_s)
        cancel(self, ticket, within_s=within_s)

    monkeypatch.setattr(PlainLines, "tick", send)
    monkeypatch.setattr(Executor, "cancel", heard)
    try:
        assert main(["launch", str(study), "--root", str(root), "--executor", "local"]) == 75
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert given == [200.0]


@pytest.mark.parametrize(
    ("number", "where"), [(signal.SIGUSR1, "memory"), (signal.SIGTERM, "local")]
)
@pytest.mark.parametrize(
    "moment",
    [
        "orchestrator.launch.plan_study",
        "orchestrator.locked_launch.write_study",
        "orchestrator.locked_launch.run_study",
        "cluster.executors.local.Executor.start",
        "cluster.executors.local.Executor.close",
        "orchestrator.locked_launch.refresh_views",
        "orchestrator.launch_output.show_summary",
    ],
)
def test_a_signal_at_any_moment_of_the_command_releases_what_it_holds(
    tmp_path, monkeypatch, capsys, number, moment, where
):
    (tmp_path / "s.yaml").write_text(
        "study: s\nstages:\n  one: {kind: probe, params: {index: 1}}\n"
    )
    root = str(tmp_path / "root") if where == "local" else f"memory://{tmp_path.name}"
    before = signal.getsignal(number)
    real = resolve_name(
        moment.replace(".Executor", ":Executor") if "Executor" in moment else moment
    )

    def send(*arguments, **options):
        os.kill(os.getpid(), number)
        return real(*arguments, **options)

    monkeypatch.setattr(moment, send)
    try:
        code = main(["launch", str(tmp_path / "s.yaml"), "--root", root, "--executor", "local"])
        after = signal.getsignal(number)
    finally:
        signal.signal(number, before)

    assert code == 130, capsys.readouterr()
    assert current_holder(Storage(root), "s") is None
    assert number == signal.SIGTERM or after is not signal.SIG_DFL  # a second one is ignored
    monkeypatch.undo()
    assert main(["launch", str(tmp_path / "s.yaml"), "--root", root, "--executor", "local"]) == 0


def test_a_launch_whose_terminal_is_closed_lets_its_jobs_save(tmp_path):
    study, root = tmp_path / "long.yaml", tmp_path / "root"
    study.write_text(PROBE)
    words = [sys.executable, "-m", "orchestrator.cli", "launch", str(study), "--root", str(root)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [*words, "--executor", "local"])
    try:
        while not list(root.glob("artifacts/probe/*/attempts/*/progress.json")):
            os.read(terminal, 1000)  # the view is drawn several times a second
        os.close(terminal)
        for _ in range(3):  # as its shell does, too
            os.kill(pid, signal.SIGHUP)
            time.sleep(0.05)
        ended = time.monotonic() + 60
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            assert time.monotonic() < ended
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    *_, attempt, last = read_events(Storage(root), "long")
    assert (attempt.result, last.state) == (Result.CANCELLED, LaunchState.INTERRUPTED.value)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU])
def test_a_signal_to_every_process_of_a_launch_on_ray_lets_its_jobs_save(tmp_path, number):
    study, root = tmp_path / "long.yaml", tmp_path / "root"
    study.write_text(PROBE)
    words = [sys.executable, "-m", "orchestrator.cli", "launch", str(study), "--root", str(root)]
    launch = subprocess.Popen(
        [*words, "--cpus", "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        while not list(root.glob("artifacts/probe/*/attempts/*/progress.json")):
            assert launch.poll() is None, launch.communicate()
            time.sleep(0.05)
        everybody = psutil.Process(launch.pid)
        family = everybody.children(recursive=True)
        assert len(family) > 3
        for process in [*family, everybody]:
            process.send_signal(number)
        output = launch.communicate(timeout=120)[0]
    finally:
        launch.kill()
        launch.communicate()
    assert launch.returncode == 130, output
    (ended,) = (each for each in read_events(Storage(root), "long") if isinstance(each, Ended))
    assert ended.result is Result.CANCELLED, ended
