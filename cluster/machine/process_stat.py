"""What the kernel says of a process, or of one of its threads, in `/proc/<pid>/stat`."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ProcessStat:
    """One process or thread at one moment; proc(5) names the fields."""

    state: str
    """One letter, such as `R` (runs), `S` (sleeps), `D` (waits for a device), `Z` (a zombie)."""
    cpu_s: float
    """Processor time, in seconds."""
    started: int
    """When it started, in ticks since the boot: with the number, this names one process."""

    @property
    def has_ended(self) -> bool:
        """Whether it only waits to be reaped."""
        return self.state in ("Z", "X")

    @property
    def is_stopped(self) -> bool:
        """Whether it stands still: SIGSTOP, Ctrl-Z, a debugger."""
        return self.state in ("T", "t")


def process_stat(pid: int, thread: int | None = None) -> ProcessStat | None:
    """Read what the kernel says of a process; None where it is gone, or the kernel says nothing.

    Args:
        pid: of the process.
        thread: the kernel's number of one of its threads, to read of that one.
    """
    place = f"/proc/{pid}" if thread is None else f"/proc/{pid}/task/{thread}"
    with suppress(OSError, ValueError, IndexError):
        # The name of a command may hold blanks and parentheses: what counts begins after the last.
        fields = Path(f"{place}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = int(fields[11]) + int(fields[12])
        return ProcessStat(
            state=fields[0],
            cpu_s=ticks / float(os.sysconf("SC_CLK_TCK")),
            started=int(fields[19]),
        )
    return None
