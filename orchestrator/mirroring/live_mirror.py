"""`live_mirror`: keeps a process beside a launch that shows the study in W&B while it runs."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster.storage import Storage
from jobs.mirror.client import is_disabled

BEGINS_AFTER_S = 20.0
"""A launch that is over by then has its summary, and needs no process to follow it."""
_LEFT_AFTER_S = 5.0
"""Longest that the end of a launch waits for it; it ends by itself afterwards."""


class LiveMirror:
    """The process beside a launch, from `BEGINS_AFTER_S` on."""

    def __init__(self, root: Storage, study: str, launch: str) -> None:
        self.state = "interrupted"
        """How the launch ended."""
        self._words = [root.url, study, launch]
        self._process: subprocess.Popen[bytes] | None = None
        self._changing = threading.Lock()
        self._is_over = False

    def begin(self) -> None:
        """Start the process, unless the launch is over."""
        with self._changing, suppress(OSError):  # no more processes: the launch goes on without
            if self._is_over:
                return
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "orchestrator.mirroring.live_process", *self._words],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, _import_path()))},
                # A Ctrl-C at the terminal is the launch's to hear.
                start_new_session=True,
            )

    def end(self) -> None:
        """Tell the process how the launch ended; it closes its run by itself."""
        with self._changing:
            self._is_over = True
            process = self._process
        if process is None or process.stdin is None:
            return
        with suppress(OSError):  # it has gone
            process.stdin.write(f"{self.state}\n".encode())
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LEFT_AFTER_S)


@contextmanager
def live_mirror(root: Storage, study: str, launch: str) -> Iterator[LiveMirror]:
    """Show a study in W&B while the block runs, where the user did not switch W&B off.

    Args:
        root: the output root.
        study: name of the study.
        launch: id of the launch.
    """
    mirror = LiveMirror(root, study, launch)
    timer = threading.Timer(BEGINS_AFTER_S, mirror.begin)
    timer.daemon = True
    if not is_disabled():
        with suppress(RuntimeError):  # no more threads: the launch goes on without
            timer.start()
    try:
        yield mirror
    finally:
        timer.cancel()
        mirror.end()
        if timer.is_alive():
            timer.join(_LEFT_AFTER_S)


def _import_path() -> list[str]:
    """Return where this code is imported from, first of all, and what was asked for besides."""
    return [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
