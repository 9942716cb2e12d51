"""What is seen of a worker's death by the process that keeps its log, which outlives it.

Whoever is killed says nothing. Its keeper runs beside it, in the same memory group: it knows within
moments that the worker is gone, and whether the kernel killed somebody for memory meanwhile.
"""

import json
import os
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.disk.replaced_file import replace_file
from cluster.machine.kernel_log import kernel_lines
from cluster.machine.oom_kills import oom_kills
from cluster.orphans.launch_label import VARIABLE
from jobs.worker.sent_witness import start_sending

FOLDER = "witnesses"
"""Folder of an attempt with one file for each rank that died."""
LOOK_EVERY_S = 5.0
_NUM_LOOKS = 4
"""Looks that are remembered: a process that holds much takes seconds to be gone after its kill."""


def witness_name(log: str) -> str:
    """Return the file of what was seen, beside a log: `witnesses/log.json` for `log.txt`."""
    folder, _, name = log.rpartition("/")
    return f"{folder}/{FOLDER}/{name.removesuffix('.txt')}.json"


class Witness:
    """Watches over the attempts of the worker that started this process, one after the other.

    Args:
        worker: the worker's process. It may be gone by the time that this one looks.
    """

    def __init__(self, worker: int) -> None:
        self._pid = worker
        self._log: str | None = None
        self._way: Mapping[str, Any] | None = None
        self._looks: deque[dict[str, int]] = deque(maxlen=_NUM_LOOKS)
        self._look_at = 0.0

    @property
    def is_watching(self) -> bool:
        """Whether an attempt is made."""
        return self._log is not None

    @property
    def is_dead(self) -> bool:
        """Whether the worker has gone."""
        return os.getppid() != self._pid

    def begin(self, log: str, way: Mapping[str, Any] | None = None) -> None:
        """Watch over the attempt with this log.

        Args:
            log: its file.
            way: how what is seen gets to a remote root (`sent_witness.py`); None: the log lies on
                the root itself.
        """
        self.look()  # before what is watched for can have happened
        self._log, self._way = log, way

    def end(self) -> None:
        """Watch no more: the attempt has ended well."""
        self._log = self._way = None

    def look(self) -> None:
        """Remember the kernel's counts now and then; say what is seen once the worker has died.

        Raises:
            OSError: the disk takes no testimony; it is not tried again.
        """
        if self._log is not None and self.is_dead:
            log, self._log = self._log, None
            self._testify(log)
        elif time.monotonic() >= self._look_at:
            self._looks.append(oom_kills())
            self._look_at = time.monotonic() + LOOK_EVERY_S

    def _testify(self, log: str) -> None:
        now, before = oom_kills(), self._looks[0]
        seen: dict[str, Any] = {
            "at": round(time.time(), 3),
            "pid": self._pid,
            "oom_kills": {name: now[name] - before.get(name, now[name]) for name in now},
            "kernel": kernel_lines(self._pid),
        }
        try:
            from cluster.machine.memory_use import largest_others, memory_use

            use = memory_use()
            seen["memory"] = {name: use[name] for name in ("host_used_gb", "host_gb")}
            # Workers of this very launch are no neighbours: what they hold, the launch does.
            label = os.environ.get(VARIABLE)
            seen["others"] = largest_others((VARIABLE, label) if label else None)
        except Exception:  # without psutil, or without /proc: less is known
            pass
        file = Path(witness_name(log))
        with suppress(FileNotFoundError):  # a folder of its own that was swept by now
            file.parent.mkdir(exist_ok=True)
            replace_file(file, json.dumps(seen).encode())
        if self._way is not None:
            start_sending(self._way, log, f"{FOLDER}/{file.name}", json.dumps(seen))
