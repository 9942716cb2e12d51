"""The thread of a process that writes its heartbeats, one for all of its attempts.

It is started by the first attempt that lasts until a beat is due, so that short jobs cost neither a
thread nor a file, and beats also while the main thread computes.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from cluster.disk.replaced_file import replace_file
from cluster.machine.gpu_use import GpuUse
from cluster.machine.process_stat import process_stat
from cluster.storage import Storage
from jobs.liveness.heartbeat import Heartbeat, heartbeat_name
from jobs.liveness.pulse import Pulse
from jobs.liveness.stacks import answer_dump_signal

BEAT_EVERY_S = {True: 2.0, False: 15.0}
"""On local and on remote roots, where every beat is a request."""
_CLOSED_WITHIN_S = 1.0
"""How long the last beat waits for one that is being written."""


class _Beats:
    """The heartbeats of one attempt."""

    def __init__(self, pulse: Pulse, write: Callable[[Heartbeat], None], every_s: float) -> None:
        self._pulse, self._write, self.every_s = pulse, write, every_s
        self.due_at = time.monotonic() + every_s
        self._num_beats = 0
        self._writing, self._is_closed = threading.Lock(), False

    def beat(self) -> None:
        """Write the next one; where it cannot be written, it is tried again at the next."""
        with self._writing:
            if not self._is_closed:
                self._write_next(is_over=False)
        self.due_at = time.monotonic() + self.every_s

    def close(self) -> None:
        """Say that it is over, where it ever beat: nobody is to end the process for it then."""
        if not self._num_beats or not self._writing.acquire(timeout=_CLOSED_WITHIN_S):
            return
        try:
            self._is_closed = True
            self._write_next(is_over=True)
        finally:
            self._writing.release()

    def _write_next(self, *, is_over: bool) -> None:
        with contextlib.suppress(Exception):  # the job goes on without watchers
            self._write(replace(self._pulse.read(self._num_beats), is_over=is_over))
        self._num_beats += 1


class _Beater:
    """The thread, and the attempts at hand: the one that works, and those being published."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._beats: list[_Beats] = []
        self._thread: threading.Thread | None = None
        self._is_awake = False
        self.gpu_use = GpuUse()

    def begin(self, beats: _Beats) -> None:
        with self._changed:
            self._beats.append(beats)
            if self._thread is None or not self._thread.is_alive():
                self._start()
            elif not self._is_awake:
                self._changed.notify()  # it sleeps until there is an attempt

    def end(self, beats: _Beats) -> None:
        with self._changed:
            self._beats.remove(beats)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="signs of life", daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads now: the next attempt tries again
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                beats = min(self._beats, key=lambda one: one.due_at, default=None)
                self._is_awake = beats is not None
                pause_s = None if beats is None else beats.due_at - time.monotonic()
                if pause_s is None or pause_s > 0:
                    self._changed.wait(pause_s)
                    continue
            if beats is not None:
                answer_dump_signal()
                beats.beat()


_BEATER = _Beater()


def _begin_anew() -> None:
    """Give a fork a beater of its own: its parent's thread is not in it."""
    global _BEATER
    _BEATER = _Beater()


os.register_at_fork(after_in_child=_begin_anew)


@contextlib.contextmanager
def beating(pulse: Pulse, storage: Storage, attempt_folder: str, node: str) -> Iterator[Pulse]:
    """Write the heartbeats of one rank of an attempt while the block runs.

    Args:
        pulse: what the rank is at.
        storage: the root.
        attempt_folder: folder of the attempt, relative to it.
        node: the machine, as outcomes of calls name it.
    """
    name, pid = heartbeat_name(attempt_folder, pulse.rank), os.getpid()

    def write(heartbeat: Heartbeat) -> None:
        whole = replace(
            heartbeat,
            node=node,
            pid=pid,
            started=_started(pid),
            memory_gb=_memory_gb(),
            gpu_use=None if heartbeat.is_over else _BEATER.gpu_use.latest(pulse.gpus.uuids),
        )
        data = whole.to_json().encode()
        if storage.is_local:
            path = storage.path(name)
            path.parent.mkdir(exist_ok=True)  # not its parents: `gc` may have taken the attempt
            replace_file(path, data)
        else:
            storage.write(name, data)
        if not heartbeat.is_over:  # after the beat, which is to wait for no driver's program
            _BEATER.gpu_use.look(pulse.gpus.uuids)

    beats, beater = _Beats(pulse, write, BEAT_EVERY_S[storage.is_local]), _BEATER
    beater.begin(beats)
    try:
        yield pulse
    finally:
        beater.end(beats)
        if storage.is_local:  # else it costs a request, and nodes read no heartbeat there
            beats.close()


@lru_cache(maxsize=1)
def _started(pid: int) -> int:
    """Return when this process (this number) started, in ticks since the boot; 0 where unknown."""
    stat = process_stat(pid)
    return 0 if stat is None else stat.started


def _memory_gb() -> float | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e9, 3)
    return None
