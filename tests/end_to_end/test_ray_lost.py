"""Launches whose Ray is lost, or whose host's memory a neighbour takes: waited out, as if nothing.

Each ends with the undisturbed table, byte for byte, and no job is charged anything.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cluster.storage import Storage
from orchestrator.records.history import read_history
from tests.real_ray import free_port, wait_until_up

pytestmark = pytest.mark.slow

STUDY = str(Path(__file__).parent / "one_cell.yaml")
NAME = "one-cell"
_LONGEST_S = 400
_NEIGHBOUR = """
import sys, time
held = []
for _ in range(20):
    held.append(bytearray(b"x" * 100_000_000))
print("full", flush=True)
time.sleep(20)
"""


@pytest.fixture(scope="session")
def undisturbed(command_at: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The study, run without Ray and without any disturbance."""
    command = command_at(root=tmp_path_factory.mktemp("calm"))
    done = command.run("launch", STUDY, "--executor", "local")
    assert done.returncode == 0, done.stderr
    return command


@pytest.fixture
def begin(command: Any) -> Iterator[Callable[..., Any]]:
    """A function that begins a launch; what is left of it at the end is killed."""
    begun = []

    def start(*words: str) -> Any:
        begun.append(command.start("launch", STUDY, *words))
        return begun[-1]

    yield start
    for launch in begun:
        launch.kill()
        launch.wait()


def _wait_for(condition: Callable[[], bool], launch: Any) -> None:
    until = time.monotonic() + _LONGEST_S
    while not condition():
        assert launch.poll() is None, launch.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def _pid_of(launch: Any, name: str) -> int:
    """The process of a launch's Ray; its driver is the launch's own child."""
    children = psutil.Process(launch.pid).children()
    if name == "driver":
        return next(child.pid for child in children if "ray_driver" in " ".join(child.cmdline()))
    family = psutil.Process(launch.pid).children(recursive=True)
    return next(child.pid for child in family if child.cmdline()[0].endswith(name))


def _assert_uncharged(command: Any, undisturbed: Any) -> None:
    assert command.measurements(NAME) == undisturbed.measurements(NAME)
    past = read_history(Storage(command.root), NAME)
    assert not any(job.failures.total() for job in past.jobs.values())


@pytest.mark.parametrize("names", [("gcs_server",), ("raylet",), ("driver", "gcs_server")])
def test_a_launch_whose_ray_is_killed_starts_another_and_completes(
    undisturbed: Any, command: Any, begin: Callable[..., Any], names: tuple[str, ...]
) -> None:
    launch = begin()
    for number, name in enumerate(names, start=1):
        _wait_for(lambda number=number: len(command.records()) >= 2 * number, launch)
        os.kill(_pid_of(launch, name), signal.SIGKILL)
        time.sleep(5)
    out, err = launch.communicate(timeout=_LONGEST_S)
    assert launch.returncode == 0, err
    assert "Traceback" not in out + err
    _assert_uncharged(command, undisturbed)


def test_a_joined_ray_whose_head_goes_is_waited_for_and_joined_again(
    undisturbed: Any, command: Any, begin: Callable[..., Any], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("0123456789abcdef" * 4)
    heads = []

    def start_head() -> None:
        ray = str(Path(sys.executable).with_name("ray"))
        words = ["start", "--head", "--block", "--num-cpus", "2", "--port", str(port)]
        words += ["--include-dashboard", "false", "--temp-dir", f"/tmp/dsj{os.getpid()}"]
        heads.append(subprocess.Popen([ray, *words], stdout=-3, stderr=-3))
        wait_until_up(heads[-1], port)

    def kill_head() -> None:
        family = psutil.Process(heads[-1].pid).children(recursive=True)
        for process in [*family, heads[-1]]:
            process.kill()
        psutil.wait_procs(family, timeout=20)
        heads[-1].wait()

    port = free_port()
    try:
        start_head()
        launch = begin("--address", f"127.0.0.1:{port}")
        _wait_for(lambda: len(command.records()) >= 2, launch)
        kill_head()
        time.sleep(5)
        start_head()
        out, err = launch.communicate(timeout=_LONGEST_S)
        assert launch.returncode == 0, err
        assert "Traceback" not in out + err
    finally:
        kill_head()
        shutil.rmtree(f"/tmp/dsj{os.getpid()}", ignore_errors=True)
    _assert_uncharged(command, undisturbed)


def test_a_neighbour_that_takes_the_memory_is_waited_out(
    undisturbed: Any, command: Any, begin: Callable[..., Any], monkeypatch: Any
) -> None:
    memory = psutil.virtual_memory()
    full = (memory.total - memory.available + 2.5e9) / memory.total
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{full:.4f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    launch = begin()
    _wait_for(lambda: len(command.records()) >= 2, launch)
    with subprocess.Popen([sys.executable, "-c", _NEIGHBOUR], stdout=subprocess.PIPE) as neighbour:
        out, err = launch.communicate(timeout=_LONGEST_S)
        neighbour.kill()
    assert launch.returncode == 0, err
    _assert_uncharged(command, undisturbed)
    ledgers = "".join(path.read_text() for path in command.root.glob("studies/*/ledger/*"))
    assert "the largest process beside it has" in ledgers
