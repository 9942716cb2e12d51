"""What the kernel wrote lately about a process or its accelerators, where this user may read it."""

import os
import re
import time
from contextlib import suppress
from pathlib import Path

_LATELY_S = 120.0
_MOST_LINES = 20
_MOST_RECORDS = 100_000
_RECORD = 8192
_TELLING = re.compile(
    r"\bXid\b|oom-kill:|Killed process|oom_reaper|segfault at|general protection|"
    r"traps: |I/O error|nfs: server .* not responding"
)
_OF_A_PROCESS = re.compile(r"Killed process|oom_reaper|segfault at|general protection|traps: ")
_PID_OF_XID = re.compile(r"\bpid='?(\d+)")


def kernel_lines(pid: int, log: Path = Path("/dev/kmsg")) -> list[str]:
    """Return the telling lines of the last minutes, without those about other processes.

    Args:
        pid: the process, as numbered where this runs; inside a container the kernel numbers it
            otherwise, and what it writes about it is missed.
        log: the kernel's log.

    Returns:
        Lines, the oldest first; none where the log may not be read.
    """
    lines: list[str] = []
    since_us = (time.clock_gettime(time.CLOCK_MONOTONIC) - _LATELY_S) * 1e6
    with suppress(OSError):
        descriptor = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
        try:
            for _ in range(_MOST_RECORDS):
                try:
                    record = os.read(descriptor, _RECORD).decode("utf-8", "replace")
                except BrokenPipeError:  # it was written over meanwhile; the next one is there
                    continue
                if not record:
                    break
                head, _, text = record.partition(";")
                line = text.partition("\n")[0]
                if _time_us(head) >= since_us and _is_about(line, pid):
                    lines.append(line)
        except BlockingIOError:
            pass  # that was all
        finally:
            os.close(descriptor)
    return lines[-_MOST_LINES:]


def _time_us(head: str) -> float:
    with suppress(ValueError, IndexError):
        return float(head.split(",")[2])
    return 0.0


def _is_about(line: str, pid: int) -> bool:
    if not _TELLING.search(line):
        return False
    if _OF_A_PROCESS.search(line):
        return re.search(rf"\b{pid}\b", line) is not None
    named = _PID_OF_XID.search(line)
    return named is None or int(named[1]) == pid
