"""Writes to the terminal: answers to standard output, notes to standard error.

What libraries print while a verb runs is no answer, and goes to standard error, too.
"""

import errno
import io
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from orchestrator.printed_commands import as_typed
from orchestrator.text import printable


class NobodyReads(Exception):
    """Whoever read our output went away (`| head`), and to show more was all that was left."""


class _Output(io.FileIO):
    """Standard output that loses what nobody reads any more: the work behind it goes on."""

    has_reader = True

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        # No `isatty`: a terminal that was closed is none any more.
        self._is_terminal = stat.S_ISCHR(os.fstat(descriptor).st_mode)

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            is_closed = self._is_terminal and error.errno == errno.EIO
            if not is_closed and not isinstance(error, BrokenPipeError):
                raise
            self.has_reader = False
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes  # type: ignore[arg-type]


def open_closed_streams() -> None:
    """Put nothing in the place of standard streams that a shell has closed (`>&-`).

    Who closes them wants to read nothing; but the next file that is opened would have their number,
    and libraries would write into that.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # what has its number by now may be another's
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  kept


_taken: TextIO | None = None
"""Standard output while a verb has it for its answers."""


def answers() -> TextIO:
    """Return where answers are written: standard output, or what took its place."""
    return _taken or sys.stdout


def hear_children() -> None:
    """Have children leave their exit codes, where whoever started this process ignores its own.

    Who ignores SIGCHLD hands that on (some window managers do), and then every program that this
    one runs counts as one that ended well.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


@contextmanager
def taken_for_answers() -> Iterator[None]:
    """Keep standard output for answers; what else is printed in the block is on standard error.

    Nothing in the block fails because whoever reads the answers went away.
    """
    global _taken
    given = sys.stdout
    if given is not sys.__stdout__ or not isinstance(given, io.TextIOWrapper):
        yield  # somebody takes the output in this process
        return
    given.flush()
    _taken = io.TextIOWrapper(
        io.BufferedWriter(_Output(given.fileno())),
        encoding=given.encoding,
        errors=given.errors,
        line_buffering=given.line_buffering or given.write_through,
    )
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout, _taken = given, None


def flush_or_end() -> None:
    """Hand on what was said so far. Raises NobodyReads."""
    stream = answers()
    stream.flush()
    if not getattr(getattr(stream.buffer, "raw", None), "has_reader", True):
        raise NobodyReads


def say(text: str = "") -> None:
    """Write one line of the answer to standard output."""
    answers().write(printable(as_typed(text)) + "\n")


def say_log(text: str) -> None:
    """Hand on a piece of what a job or a launch has printed. Raises NobodyReads.

    A carriage return ends a line: what a progress bar wrote over is shown, and nothing is hidden.
    """
    answers().write(printable(text.replace("\r\n", "\n").replace("\r", "\n")))
    flush_or_end()


def say_json(value: object) -> None:
    """Write one JSON document to standard output."""
    answers().write(json.dumps(value, indent=1) + "\n")


def note(text: str) -> None:
    """Write one line to standard error, so that the answer of `--json` stays parseable."""
    with suppress(OSError):  # nobody reads any more, and it is no answer
        sys.stderr.write(printable(as_typed(text)) + "\n")
        sys.stderr.flush()
