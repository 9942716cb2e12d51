"""Who holds a study's lock, and the one message for a lock that somebody else holds."""

import os
import platform
import time
from dataclasses import dataclass
from datetime import datetime

from cluster.errors import SurroundingsError


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who has a study's lock."""

    pid: int
    """Its process."""
    host: str
    """Its machine."""
    launch: str
    """Id of its launch."""
    since: float
    """When it took the lock, in seconds since the epoch."""

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since).strftime("%Y-%m-%d %H:%M:%S")
        return f"process {self.pid} on {self.host}, launch {self.launch}, since {since}"

    @classmethod
    def this_process(cls, launch: str) -> "Holder":
        """This process, from now on."""
        return cls(pid=os.getpid(), host=platform.node(), launch=launch, since=time.time())


def held_elsewhere(
    study: str, holder: Holder | None, where: str, *, can_take_over: bool = False
) -> SurroundingsError:
    """The one message for a lock that somebody else holds."""
    takeover = ", or take it over with `--takeover` when you know that it is gone"
    return SurroundingsError(
        f"another launch of {study!r} is running: {holder or 'it has not said yet who it is'}",
        where=where,
        hint=f"wait for it, watch it with `deltascale status {study}`, "
        f"end it with `deltascale cancel {study}`" + (takeover if can_take_over else ""),
    )
