"""Runs a program of the user's with the message on its standard input; no shell reads it."""

import os
import signal
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

from cluster.disk.written_path import expanded
from cluster.errors import UserError
from orchestrator.notices.way import Notice, NotSent, Way

_ENDS_WITHIN_S = 30.0
_LONGEST = 30_000
"""Bytes of the message in the environment; all of it is on standard input."""


class Command(Way):
    """One program, without arguments: the message is on standard input and in the environment."""

    SUMMARY = "runs a program with the message on its standard input"
    REFERENCE = "the whole path of the program"

    def check(self, reference: str) -> None:
        """Check that it is a whole path."""
        if not reference.startswith(("/", "~/")):
            raise UserError(
                f"{reference[:100]!r} is no whole path of a program (/… or ~/…)",
                where="notify",
                hint="it gets no arguments and no shell: write a script for more",
            )

    def uses(self, reference: str) -> str:
        """Say what is run."""
        return f"runs {reference} with messages"

    def require(self, reference: str) -> None:
        """Check that it is a program that nobody else can write."""
        _program(reference)

    def send(self, reference: str, notice: Notice) -> None:
        """Run the program once, in a session of its own, and end what outlasts its time."""
        text = str(notice)
        try:
            process = subprocess.Popen(
                [str(_program(reference))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={
                    **os.environ,
                    "DELTASCALE_NOTICE": text.encode()[:_LONGEST].decode(errors="ignore"),
                    "DELTASCALE_NOTICE_ABOUT": notice.occasion.value,
                    "DELTASCALE_NOTICE_STUDY": notice.study,
                },
            )
        except OSError as error:
            raise NotSent(f"{reference} cannot be run: {error.strerror}", is_final=True) from None
        try:
            process.communicate(text.encode(), timeout=_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise NotSent(f"{reference} did not end in {_ENDS_WITHIN_S:g} s") from None
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            raise NotSent(f"{reference} ended with code {process.returncode}")


def _program(reference: str) -> Path:
    path = expanded(reference, where="notify")
    try:
        found = path.stat()
    except OSError as error:
        raise UserError(f"there is no such program: {error.strerror}", where=str(path)) from None
    if not stat.S_ISREG(found.st_mode) or not os.access(path, os.X_OK):
        raise UserError("this is no program", where=str(path), hint=f"chmod u+x {path}")
    if found.st_uid not in (os.getuid(), 0) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UserError(
            "others may write this program, so it is not run",
            where=str(path),
            hint=f"chmod go-w {path}",
        )
    return path
