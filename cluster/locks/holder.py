"""`Holder`: the process that holds a lock, as it is written into the lock for others to read."""

import os
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from cluster.checked_json import checked, parse_json
from cluster.machine.process_stat import process_stat

_QUIET_S = 45.0
"""Seconds without a sign of life that are nothing yet to be told of."""

_Text = Annotated[str, Field(max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""A short text without control characters: it is shown on terminals."""
_Moment = Annotated[float, Field(ge=0, lt=253_402_000_000)]
"""Seconds since the epoch, before the year 10,000."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The process that holds a lock."""

    pid: Annotated[int, Field(ge=0, lt=1 << 31)]
    """Its process id."""
    host: _Text
    """Its machine."""
    launch: _Text
    """Id of the launch that it runs."""
    since: _Moment
    """When it took the lock, in seconds since the epoch."""
    boot_id: _Text = ""
    """Identity of its kernel since that was booted; empty where there is none to read."""
    pid_namespace: _Text = ""
    """Identity of the process ids among which `pid` counts; empty where there is none to read."""
    started: int = 0
    """When its process started, in ticks since the boot; 0 where that is not known."""
    silent_s: float = field(default=0.0, compare=False)
    """Seconds since its last sign of life, as whoever looked at the lock saw it; never written."""

    def __str__(self) -> str:
        if self.pid == 0:
            return "a process that the lock does not name"
        name = f"process {self.pid} on {self.host}, launch {self.launch}"
        name += f", since {_moment(self.since)}"
        is_stopped = self.is_stopped
        if self.silent_s < _QUIET_S and not is_stopped:
            return name
        silent_since = _moment(datetime.now().timestamp() - self.silent_s)
        why = f"`kill -CONT {self.pid}` wakes it" if is_stopped else "it is stopped, or its host is"
        return f"{name}; no sign of life since {silent_since}: {why}"

    @classmethod
    def this_process(cls, launch: str) -> "Holder":
        """Describe this process, holding from now on."""
        return cls(
            pid=os.getpid(),
            host=platform.node(),
            launch=launch,
            since=datetime.now().timestamp(),
            boot_id=_boot_id(),
            pid_namespace=_pid_namespace(),
            started=_start_of(os.getpid()) or 0,
        )

    @classmethod
    def parse(cls, values: object) -> "Holder | None":
        """Read a holder from parsed JSON; None where it is damaged. Unknown fields are ignored."""
        try:
            return checked(_HOLDER, values)
        except ValueError:
            return None

    def as_json(self) -> dict[str, object]:
        """Return the holder as it is written into a lock."""
        return {name: value for name, value in asdict(self).items() if name != "silent_s"}

    @property
    def is_dead(self) -> bool:
        """True only where it is certain: its kernel runs here, and its process does not any more.

        An equal host name proves nothing: containers and images of a cloud share theirs.
        """
        if not self._is_seen_from_here:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        started = _start_of(self.pid)
        return started is not None and started != self.started

    @property
    def is_alive(self) -> bool:
        """True only where it is certain: its kernel runs here, and so does its process."""
        return self._is_seen_from_here and not self.is_dead

    @property
    def is_stopped(self) -> bool:
        """True where it is certain that the process stands still (SIGSTOP, Ctrl-Z)."""
        stat = process_stat(self.pid) if self._is_seen_from_here else None
        return stat is not None and stat.started == self.started and stat.is_stopped

    @property
    def _is_seen_from_here(self) -> bool:
        """Whether the process ids of this process are those among which the holder's counts."""
        if not (self.boot_id and self.pid_namespace and self.started):
            return False
        return (self.boot_id, self.pid_namespace) == (_boot_id(), _pid_namespace())


_HOLDER = TypeAdapter(Holder)

UNKNOWN = Holder(pid=0, host="unknown", launch="unknown", since=0.0)
"""Whoever holds a lock whose text is damaged, or not written yet."""


def fields_of(data: bytes) -> dict[str, object]:
    """Parse the text of a lock; empty where it is damaged in any way."""
    with suppress(ValueError):
        values = parse_json(data)
        return values if isinstance(values, dict) else {}
    return {}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def _boot_id() -> str:
    with suppress(OSError, ValueError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _pid_namespace() -> str:
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


def _start_of(pid: int) -> int | None:
    """Return when a process started, 0 for one that has ended and is not reaped; None unknown."""
    stat = process_stat(pid)
    if stat is None:
        return None
    return 0 if stat.has_ended else stat.started
