"""A job's log: what is printed and logged while it runs, without secrets.

Everything goes through a pipe to a process of its own (`log_keeper.py`), which redacts and writes,
so that the last words of a worker that is killed are in its log. Where a process does nothing but
jobs, its descriptors 1 and 2 are the attempt's: what NCCL, CUDA, glibc and subprocesses write.
Short jobs of one call write to one pipe in turn (`taking_turns`): a pipe of its own costs each more
than all else that its log does.
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
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.fault_points import fault_point
from cluster.redaction import known_values
from jobs.worker.log_turns import Mark, additions, new_prefix, written

if TYPE_CHECKING:
    import ctypes
    from contextlib import AbstractContextManager

_CODE = Path(__file__).parents[2]
_ANSWER_S = 60.0
"""How long the keeper may take to write what is in the pipe; a slow disk must not hold a job up."""
_SECRETS_EVERY_S = 1.0
"""How often attempts that take turns look for secrets: in files and variables."""


@contextlib.contextmanager
def taking_turns(*, whole_process: bool = False) -> Iterator[None]:
    """Let attempts in the block that take turns write to one pipe; afterwards all is in their logs.

    Args:
        whole_process: take the descriptors 1 and 2, from the first attempt to the last.
    """
    with _KEEPERS.turns(whole_process=whole_process):
        yield


def start_keeper() -> None:
    """Start the process that will write the logs of this one, which else the first log does."""
    _KEEPERS.require()


def add_to_log(path: Path, text: str) -> None:
    """Add a text without secrets to the log of an attempt that took its turn, from any thread.

    It comes after all that the attempt wrote; at the end of `taking_turns` it is there.
    """
    if not all(_KEEPERS.mark(mark) for mark in additions(path, text)):
        with contextlib.suppress(OSError), open(path, "a", encoding="utf-8") as log:
            log.write(text)


@contextlib.contextmanager
def captured(
    path: Path,
    *,
    whole_process: bool = False,
    way: Mapping[str, object] | None = None,
    takes_turn: bool = False,
) -> Iterator[None]:
    """Send stdout, stderr and log records of this process to a file while the block runs.

    Args:
        path: of the log; written to its end, as it comes.
        whole_process: take the descriptors 1 and 2, too.
        way: how it, and what is seen of a death, get to a remote root (`sent_witness.py`).
        takes_turn: write to the pipe of `taking_turns`; then all is there when that has ended.
    """
    turn = _KEEPERS.turn(path) if takes_turn else None
    handler, root = _handler(), logging.getLogger()
    with (
        # Held open here: it is there at once, and shows which process is at the attempt.
        _opened(path),
        turn or _KEEPERS.log(path, way, whole_process=whole_process) as descriptor,
    ):
        _SINK.descriptor = descriptor
        root.addHandler(handler)
        try:
            with contextlib.redirect_stdout(_SINK), contextlib.redirect_stderr(_SINK):
                yield
        finally:
            root.removeHandler(handler)
            _SINK.descriptor = None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[None]:
    """Have a log open for adding to it; make its folder where that is missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o666)
    try:
        yield
    finally:
        os.close(descriptor)


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


@cache
def _handler() -> logging.Handler:
    """Return what writes log records of all attempts of this process."""
    handler = logging.StreamHandler(_SINK)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler


@cache
def _libraries() -> str:
    """Return the folder that the keeper finds psutil in, should it have to look around."""
    found = find_spec("psutil")
    return str(Path(found.origin).parents[1]) if found and found.origin else ""


def _place_of(path: Path) -> Path:
    """Return where the keeper writes; where a fault is injected, a device that is always full."""
    try:
        # artifacts/KIND/KEY/attempts/ID/NAME
        fault_point("write", file="/".join(path.absolute().parts[-6:]))
    except OSError:
        return Path("/dev/full")
    return path.absolute()


@dataclass
class _TurnsPipe:
    """The pipe of attempts that take turns."""

    prefix: str
    """What its marks begin with."""
    descriptor: int
    """Its end to write to."""
    is_of_process: bool
    """Whether descriptors 1 and 2 are its, too."""
    told_at: float
    """When the keeper was told of secrets last, by the monotonic clock."""

    def mark(self, mark: Mark) -> bool:
        """Write a mark, from any thread; False where it is too long, or nobody reads it."""
        data = written(self.prefix, mark)
        if data is None:
            return False
        try:
            return os.write(self.descriptor, data) == len(data)
        except OSError:
            return False


class _Keepers:
    """The keeper of this process: started at the first log, and again after a fork or its death."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._answers: io.RawIOBase = io.RawIOBase()
        self._pid = self._num_logs = 0
        self._turns: _TurnsPipe | None = None
        self._lock = threading.Lock()
        known_values.LISTENERS.append(lambda value, label: self._tell({"secrets": {value: label}}))

    @contextlib.contextmanager
    def log(
        self, path: Path, way: Mapping[str, object] | None, *, whole_process: bool
    ) -> Iterator[int]:
        """Yield the descriptor to write to; all of it is in the file afterwards."""
        order = {"open": str(_place_of(path)), "way": way}
        with self._piped(order, whole_process=whole_process) as writer:
            yield writer

    @contextlib.contextmanager
    def turns(self, *, whole_process: bool) -> Iterator[None]:
        """Have a pipe for attempts that take turns; all is in their files afterwards."""
        prefix = new_prefix()
        with self._piped({"turns": prefix}, whole_process=whole_process) as writer:
            self._turns = _TurnsPipe(prefix, writer, whole_process, time.monotonic())
            try:
                yield
            finally:
                self._turns = None

    @contextlib.contextmanager
    def _piped(self, order: Mapping[str, object], *, whole_process: bool) -> Iterator[int]:
        """Yield the end to write to of a pipe that the keeper is told of, and reads to its end."""
        self.require()
        reader, writer = os.pipe()
        try:
            self._tell({**order, "secrets": known_values.known_secrets()}, reader)
        finally:
            os.close(reader)
        try:
            with _descriptors(writer) if whole_process else _faults(writer):
                yield writer
        finally:
            os.close(writer)
            self._num_logs += 1
            self._tell({"close": self._num_logs})
            self._hear(self._num_logs)

    def turn(self, path: Path) -> "AbstractContextManager[int] | None":
        """Begin a turn; None where nobody takes turns, or the keeper has gone meanwhile."""
        turns = self._turns
        if turns is None:
            return None
        if (now := time.monotonic()) - turns.told_at > _SECRETS_EVERY_S:
            turns.told_at = now
            self._tell({"secrets": known_values.known_secrets()})
        return self._turn(turns) if turns.mark(Mark(log=str(_place_of(path)))) else None

    def mark(self, mark: Mark) -> bool:
        """Write a mark; False where nobody takes turns, or nobody reads it."""
        turns = self._turns
        return turns is not None and turns.mark(mark)

    @contextlib.contextmanager
    def _turn(self, turns: "_TurnsPipe") -> Iterator[int]:
        try:
            yield turns.descriptor
        finally:
            if turns.is_of_process:
                _flush()
            turns.mark(Mark())

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

    def require(self) -> None:
        """Start the keeper, unless it is there."""
        is_there = self._pid == os.getpid() and self._process and self._process.poll() is None
        if is_there:
            return
        ours, theirs = socket.socketpair()
        ours.settimeout(_ANSWER_S)
        number = theirs.fileno()
        command = (
            f"import sys; sys.path.insert(0, {str(_CODE)!r}); sys.path.append({_libraries()!r}); "
            f"from jobs.worker.log_keeper import main; main({number}, {os.getpid()})"
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
