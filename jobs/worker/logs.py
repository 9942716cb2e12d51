"""A job's log: what is printed and logged while it runs, without secrets.

Everything goes through a pipe to a process of its own (`log_keeper.py`), which redacts and writes,
so that the last words of a worker that is killed are in its log. Where a process does nothing but
jobs, its descriptors 1 and 2 are the attempt's: what NCCL, CUDA, glibc and subprocesses write.
"""

import contextlib
import faulthandler
import io
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cluster.redaction import known_values
from cluster.redaction.redactor import redacted as redacted

if TYPE_CHECKING:
    import ctypes

_CODE = Path(__file__).parents[2]
_ANSWER_S = 60.0
"""How long the keeper may take to write what is in the pipe; a slow disk must not hold a job up."""


@contextlib.contextmanager
def captured(path: Path, *, whole_process: bool = False) -> Iterator[None]:
    """Send stdout, stderr and log records of this process to a file while the block runs.

    Args:
        path: of the log; written to its end, as it comes.
        whole_process: take the descriptors 1 and 2, too.
    """
    handler = logging.StreamHandler(_SINK)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    with (
        # Held open here: it is there at once, and shows which process is at the attempt.
        _opened(path),
        _KEEPERS.log(path) as descriptor,
        _descriptors(descriptor) if whole_process else _faults(descriptor),
    ):
        _SINK.descriptor = descriptor
        root.addHandler(handler)
        try:
            with contextlib.redirect_stdout(_SINK), contextlib.redirect_stderr(_SINK):
                yield
        finally:
            root.removeHandler(handler)
            _SINK.descriptor = None


def _opened(path: Path) -> BinaryIO:
    """Open a log to be written to its end; make its folder where that is missing."""
    try:
        return open(path, "ab", buffering=0)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "ab", buffering=0)


class _Sink(io.TextIOBase):
    """Writes at once to the log of the attempt at hand.

    One for the life of the process: libraries keep the stream that they met first.
    """

    encoding = "utf-8"

    def __init__(self) -> None:
        self.descriptor: int | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2 if self.descriptor is None else self.descriptor

    def write(self, text: str) -> int:
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        with contextlib.suppress(BrokenPipeError):  # without its log a job goes on
            while rest:
                rest = rest[os.write(self.fileno(), rest) :]
        return len(text)


_SINK = _Sink()


class _Keepers:
    """The keeper of this process: started at the first log, and again after a fork or its death."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._answers: io.RawIOBase = io.RawIOBase()
        self._pid = self._num_logs = 0
        self._lock = threading.Lock()
        known_values.LISTENERS.append(lambda value, label: self._tell({"secrets": {value: label}}))

    @contextlib.contextmanager
    def log(self, path: Path) -> Iterator[int]:
        """Yield the descriptor to write to; all of it is in the file afterwards."""
        self._require()
        reader, writer = os.pipe()
        try:
            self._tell(
                {"open": str(path.absolute()), "secrets": known_values.known_secrets()}, reader
            )
        finally:
            os.close(reader)
        try:
            yield writer
        finally:
            os.close(writer)
            self._num_logs += 1
            self._tell({"close": self._num_logs})
            self._hear(self._num_logs)

    def _hear(self, number: int) -> None:
        """Wait until the keeper has closed a log; answers to interrupted waits are passed over."""
        try:
            while self._control is not None and (answer := self._answers.readline()):
                if int(answer) >= number:
                    return
        except (
            OSError,
            ValueError,
        ):  # it is stuck: it ends by itself, and the next log has another
            self._process = self._control = None

    def _require(self) -> None:
        is_there = self._pid == os.getpid() and self._process and self._process.poll() is None
        if is_there:
            return
        ours, theirs = socket.socketpair()
        ours.settimeout(_ANSWER_S)
        number = theirs.fileno()
        command = (
            f"import sys; sys.path.insert(0, {str(_CODE)!r}); "
            f"from jobs.worker.log_keeper import main; main({number})"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", command],
            env={},  # its secrets come over the socket
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[number],
            start_new_session=True,  # signals of the terminal are not meant for it
        )
        theirs.close()
        self._control, self._pid, self._num_logs = ours, os.getpid(), 0
        self._answers = ours.makefile("rb", buffering=0)

    def _tell(self, order: Mapping[str, object], descriptor: int | None = None) -> None:
        if self._control is None or self._pid != os.getpid():
            return
        words = json.dumps(order).encode() + b"\n"
        with self._lock, contextlib.suppress(OSError):
            if descriptor is not None:
                socket.send_fds(self._control, [words[:1]], [descriptor])
                words = words[1:]
            self._control.sendall(words)


_KEEPERS = _Keepers()


@contextlib.contextmanager
def _descriptors(descriptor: int) -> Iterator[None]:
    """Let descriptors 1 and 2 of this process be the log's, for whoever writes to them."""
    kept = {number: os.dup(number) for number in (1, 2)}
    _flush()
    for number in kept:
        os.dup2(descriptor, number)
    faulthandler.enable(file=2, all_threads=True)
    try:
        yield
    finally:
        _flush()
        for number, former in kept.items():
            os.dup2(former, number)
            os.close(former)


def _flush() -> None:
    """Write what Python and the C library keep for descriptors 1 and 2."""
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(Exception):
            stream.flush()  # type: ignore[union-attr]
    _c_library().fflush(None)


@cache
def _c_library() -> "ctypes.CDLL":
    import ctypes

    return ctypes.CDLL(None)


@contextlib.contextmanager
def _faults(descriptor: int) -> Iterator[None]:
    """Let the stacks of a crash go to the log, unless they go elsewhere already."""
    if faulthandler.is_enabled():
        yield
        return
    faulthandler.enable(file=descriptor, all_threads=True)
    try:
        yield
    finally:
        faulthandler.disable()
