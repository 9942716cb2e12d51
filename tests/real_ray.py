"""What tests on a real Ray have in common: one Ray for several launches, and waits for endings."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from cluster.executors.ray import Executor
from cluster.machine.process_stat import process_stat
from cluster.machine.resources import Resources

RAY_VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
TICK = threading.Event()
"""Never set: `TICK.wait` is a pause between two looks."""


class Shared:
    """An executor that several launches use, so that Ray starts once."""

    def __init__(self, executor):
        self._executor = executor

    def __getattr__(self, name):
        return getattr(self._executor, name)

    def start(self):
        """Started by `shared_ray`."""

    def close(self):
        """Closed by `shared_ray`."""


@contextlib.contextmanager
def shared_ray(num_cpus):
    executor = Executor(offered=Resources(num_cpus=num_cpus))
    executor.start()
    try:
        yield Shared(executor)
    finally:
        executor.close()


def free_port():
    """Return a port that nobody listens at now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def free_ports(number):
    """Return ports that nobody listens at now, each another one."""
    with contextlib.ExitStack() as kept:
        found = [kept.enter_context(socket.socket()) for _ in range(number)]
        for free in found:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in found]


class HeadEnded(AssertionError):
    """A head that ended by itself before it was up: a port was taken meanwhile, for instance."""


def wait_until_up(process, *ports):
    """Wait until a head that a process starts takes connections and has a node to run on.

    Raises HeadEnded where it ends before it does.
    """
    until = time.monotonic() + 300
    while True:
        if process.poll() is not None:
            raise HeadEnded(f"the head has ended with {process.returncode}")
        assert time.monotonic() < until, f"nobody listens at {ports}"
        names = {child.name() for child in psutil.Process(process.pid).children(recursive=True)}
        with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
            for port in ports:
                opened.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            if "raylet" in names:
                return
        TICK.wait(0.2)


@contextlib.contextmanager
def head_node(num_cpus):
    """Start a Ray to which a test adds nodes."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        # It listens beyond loopback and asks for no token.
        patch.setenv("DELTASCALE_ALLOW_OPEN_RAY", "1")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": num_cpus})
        try:
            yield cluster
        finally:
            cluster.shutdown()


@contextlib.contextmanager
def started_head(folder, monkeypatch, **environment):
    """A Ray started as people start one; yields its port and its own address."""
    port = free_port()
    ray = str(Path(sys.executable).with_name("ray"))
    words = ["start", "--head", "--block", "--num-cpus", "1", "--port", str(port)]
    words += ["--include-dashboard", "false", "--temp-dir", f"/tmp/dsa{os.getpid()}"]
    inherited = {key: text for key, text in os.environ.items() if key not in RAY_VARIABLES}
    process = subprocess.Popen(
        [ray, *words],
        env={**inherited, "HOME": str(folder / "head"), **environment},
        stdout=-3,
        stderr=-3,
    )
    for name in RAY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder / "user"))
    try:
        wait_until_up(process, port)
        yield port
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        for member in [*family, process]:
            member.kill()
        psutil.wait_procs(family, timeout=20)
        process.wait()
        shutil.rmtree(f"/tmp/dsa{os.getpid()}", ignore_errors=True)


@contextlib.contextmanager
def carrying(nodes, folder, name, code):
    """Start an executor on nodes that are there, to which a package of this code is carried."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        executor = Executor(address=nodes.address, packages=["cluster", name])
        executor.start()
    try:
        yield executor
    finally:
        executor.close()


@contextlib.contextmanager
def calling(folder, name, code, offered, **environment):
    """Start a Ray of its own, whose workers import a module of this code."""
    (folder / f"{name}.py").write_text(code)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        for variable, text in environment.items():
            patch.setenv(variable, text)
        executor = Executor(offered=offered)
        executor.start()
        try:
            yield executor
        finally:
            executor.close()


def first_outcome(executor, limit_s=180):
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if outcomes := executor.wait(0.2):
            return outcomes[0]
    raise AssertionError("nothing ended")


def process_that_holds(path, limit_s=30):
    """Return the id of a process that has a file open, once there is one."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if (pid := holder_of(str(path))) is not None:
            return pid
        TICK.wait(0.02)
    raise AssertionError(f"nobody has {path} open")


def holder_of(path):
    """Return the id of the process that opened a file, not of a child that only inherits it.

    The keeper of a log does not count, nor what is to become one: it holds all that its parent does
    until it begins.
    """
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, psutil.Error):
            is_held = any(os.readlink(entry) == path for entry in (process / "fd").iterdir())
            if is_held and b"log_keeper" not in (process / "cmdline").read_bytes():
                pid = int(process.name)
                parents[pid] = psutil.Process(pid).ppid()
    return next((pid for pid, parent in parents.items() if parent not in parents), None)


def is_gone(pid, limit_s=60):
    """Return True once the process has ended; one that only waits for its parent has, too."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        stat = process_stat(pid)
        if stat is None or stat.has_ended:
            return True
        TICK.wait(0.02)
    return False
