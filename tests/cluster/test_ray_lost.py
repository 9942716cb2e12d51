"""Ray is lost while calls run: the launch lives on, and begins a Ray anew."""

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from cluster.errors import SurroundingsError
from cluster.executor import Ending
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from tests.real_ray import calling, first_outcome, is_gone

CALLS = """
import os, time
from pathlib import Path

def echo(payload, surroundings):
    return payload

def stay(payload, surroundings):
    Path(payload).write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)
"""


@pytest.fixture
def executor(tmp_path):
    with calling(tmp_path, "lost_calls", CALLS, Resources(num_cpus=2)) as executor:
        yield executor


@pytest.fixture
def short_temp(tmp_path, monkeypatch):
    """A temp folder of the test's own, beside `tmp_path`, short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t", ignore_cleanup_errors=True) as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)
        Path(folder).mkdir(exist_ok=True)


def process_of_ray(executor, name):
    for process in psutil.Process(executor._process.pid).children(recursive=True):
        if name in " ".join(process.cmdline()[:1]):
            return process.pid
    raise AssertionError(f"no {name}")


def started(executor, path):
    executor.submit("a", "lost_calls:stay", str(path), Resources())
    executor.submit("b", "lost_calls:stay", str(path) + "2", Resources())
    executor.submit("c", "lost_calls:echo", "waits", Resources())
    until = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until
        assert executor.wait(0.1) == []
    return int(path.read_text())


def until_lost(executor):
    until = time.monotonic() + 90
    while time.monotonic() < until:
        try:
            assert executor.wait(0.5) == []
            executor.nodes()
        except SurroundingsError as fault:
            return fault
    raise AssertionError("nobody noticed")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gcs_server", "raylet", "child"])
def test_calls_of_a_ray_that_was_killed_are_lost_once_and_the_next_ray_runs(
    executor, tmp_path, name
):
    worker = started(executor, tmp_path / "runs")
    child = executor._process.pid
    os.kill(child if name == "child" else process_of_ray(executor, name), signal.SIGKILL)

    fault = until_lost(executor)
    assert fault.fault_class is FaultClass.CLUSTER
    assert "Ray has gone" in fault.error
    for ask in (executor.nodes, executor.free, executor.capacity, lambda: executor.wait(0)):
        with pytest.raises(SurroundingsError, match="Ray has gone"):
            ask()
    with pytest.raises(SurroundingsError, match="Ray has gone"):
        executor.submit("d", "lost_calls:echo", "", Resources())
    with pytest.raises(SurroundingsError, match="Ray has gone"):
        executor.cancel("a")
    assert is_gone(worker)

    executor.start()
    lost = {}
    while len(lost) < 3:
        lost.update({outcome.ticket: outcome for outcome in executor.wait(5)})
    assert set(lost) == {"a", "b", "c"}
    assert {outcome.ending for outcome in lost.values()} == {Ending.LOST}
    assert {outcome.fault_class for outcome in lost.values()} == {FaultClass.CLUSTER}
    executor.submit("d", "lost_calls:echo", "again", Resources())
    assert first_outcome(executor).answer == "again"
    assert executor.wait(0.2) == []


@pytest.mark.slow
def test_a_ray_whose_temp_folder_was_cleaned_away_is_lost_and_the_next_one_runs(
    short_temp, tmp_path
):
    with calling(tmp_path, "lost_calls", CALLS, Resources(num_cpus=1)) as executor:
        executor.submit("a", "lost_calls:echo", "before", Resources())
        assert first_outcome(executor).answer == "before"
        assert list(short_temp.iterdir())
        shutil.rmtree(short_temp)
        assert "was deleted" in until_lost(executor).error
        executor.start()
        executor.submit("b", "lost_calls:echo", "after", Resources())
        assert first_outcome(executor).answer == "after"


@pytest.mark.slow
def test_a_stopped_child_is_taken_for_lost_and_ended(executor, tmp_path, monkeypatch):
    worker = started(executor, tmp_path / "runs")
    child = executor._process.pid
    monkeypatch.setattr("cluster.executors.ray._SILENT_S", 3.0)
    os.kill(child, signal.SIGSTOP)
    assert "said nothing" in until_lost(executor).error
    assert is_gone(child)
    assert is_gone(worker)


@pytest.mark.slow
def test_a_killed_process_on_a_living_node_is_a_lost_process_and_names_its_node(executor, tmp_path):
    worker = started(executor, tmp_path / "runs")
    os.kill(worker, signal.SIGKILL)
    outcome = first_outcome(executor)
    assert (outcome.ending, outcome.fault_class) == (Ending.LOST, FaultClass.LOST_PROCESS)
    assert outcome.node == "127.0.0.1"


def folders():
    base = Path("/tmp") / f"dscale-{os.getuid()}"
    return {folder.name for folder in base.iterdir() if folder.is_dir()}


@pytest.mark.slow
def test_the_files_of_a_ray_are_private_and_go_with_it(tmp_path):
    before = folders()
    with calling(tmp_path, "lost_calls", CALLS, Resources(num_cpus=1)) as executor:
        (mine,) = folders() - before
        folder = Path("/tmp") / f"dscale-{os.getuid()}" / mine
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "token").stat().st_mode & 0o777 == 0o600
        family = psutil.Process(executor._process.pid).children(recursive=True)
        family.append(psutil.Process(executor._process.pid))
        addresses = [
            listener.laddr.ip
            for process in family
            for listener in process.net_connections("tcp")
            if listener.status == psutil.CONN_LISTEN
        ]
        assert addresses
        assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}
    assert mine not in folders()
