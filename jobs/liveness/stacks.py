"""Stacks of a process that hangs: Python's own handler of one signal writes them, whoever asks.

The handler is C code that needs no interpreter lock, so it answers also where a call into a library
keeps the lock for ever. It writes into a file in memory, which another process of this user reads
through `/proc`: a file system that is away is no hindrance, and a job that is well leaves no file.
"""

import contextlib
import faulthandler
import os
import re
import signal
import tempfile
import time
from pathlib import Path

_NAME = "deltascale-stacks"
DUMP_SIGNAL = signal.SIGRTMIN + 5 if hasattr(signal, "SIGRTMIN") else None
"""Asks for the stacks. A real-time signal: SIGUSR1 and SIGUSR2 are those of batch schedulers."""
_SETTLES_S = 0.2
"""A dump that has not grown for so long is whole."""
_DUMPED_WITHIN_S = 5.0
"""How long a process may take; one that is stopped (SIGSTOP) answers once it goes on."""
_MOST_BYTES = 400_000

_file: int | None = None


def answer_dump_signal() -> None:
    """Let this process answer the signal with the stacks of all its threads, from now on."""
    global _file
    if _file is not None or DUMP_SIGNAL is None:
        return
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create(_NAME)
        else:
            with tempfile.TemporaryFile(prefix=_NAME) as unnamed:
                descriptor = os.dup(unnamed.fileno())
        faulthandler.register(DUMP_SIGNAL, file=descriptor, all_threads=True)
        _file = descriptor


def dump_of(pid: int) -> str | None:
    """Ask a process of this machine for its stacks; None where it does not answer the signal.

    Args:
        pid: its number. It is sent nothing unless it handles the signal: it would end by it.
    """
    file = _dump_file(pid)
    if file is None or DUMP_SIGNAL is None or not _handles(pid, DUMP_SIGNAL):
        return None
    try:
        before = file.stat().st_size
        os.kill(pid, DUMP_SIGNAL)
        until = time.monotonic() + _DUMPED_WITHIN_S
        size, settled_at = before, time.monotonic() + _SETTLES_S
        while time.monotonic() < min(until, settled_at if size > before else until):
            time.sleep(0.02)
            if (now := file.stat().st_size) != size:
                size, settled_at = now, time.monotonic() + _SETTLES_S
        with file.open("rb") as opened:
            opened.seek(before)
            return opened.read(_MOST_BYTES).decode("utf-8", "backslashreplace") or None
    except OSError:
        return None


def stack_of(thread: int, stacks: str) -> str:
    """Return the frames of one thread out of a dump; all of it where the thread is not in it."""
    for block in re.split(r"^(?=(?:Current thread|Thread) 0x)", stacks, flags=re.M):
        named = re.match(r"(?:Current thread|Thread) 0x([0-9a-f]+)", block)
        if named is not None and int(named[1], 16) == thread:
            return block.partition("\n")[2]
    return stacks


def _dump_file(pid: int) -> Path | None:
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if _NAME in os.readlink(entry.path):
                    return Path(entry.path)
    return None


def _handles(pid: int, number: int) -> bool:
    with contextlib.suppress(OSError):
        caught = re.search(r"^SigCgt:\s+([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text(), re.M)
        return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)
    return False
