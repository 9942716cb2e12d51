"""What tests on a real Ray have in common: one Ray for several launches, and waits for endings."""

import contextlib
import threading
import time
from pathlib import Path

from cluster.executors.ray import Executor
from cluster.resources import Resources

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


def first_outcome(executor, limit_s=180):
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if outcomes := executor.wait(0.2):
            return outcomes[0]
    raise AssertionError("nothing ended")


def is_gone(pid, limit_s=60):
    """Return True once the process has ended; one that only waits for its parent has, too."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        TICK.wait(0.02)
    return False
