"""`MirrorOutage`: that W&B is away, said by the first of a launch's jobs that finds it so.

The others read it under the root before they open a run, and write theirs offline at once. After an
hour one of them looks again.
"""

import json
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from cluster.checked_json import parse_json
from cluster.errors import DeltascaleError
from cluster.storage import Storage

T = TypeVar("T")

_HOLDS_S = 3600.0
"""Seconds for which an outage is believed; W&B may be there again for the rest of a long launch."""


@dataclass(frozen=True)
class MirrorOutage:
    """The outage of W&B in one launch of a study."""

    root: str
    """URL of the output root; empty where nothing is shared."""
    study: str
    """Name of the study."""
    launch: str
    """Id of the launch."""

    @property
    def reason(self) -> str | None:
        """What was met, lately; None while nothing was, or nothing can be read."""
        if not self.root:
            return None
        with suppress(DeltascaleError, OSError, ValueError, KeyError, TypeError):
            noted = parse_json(Storage(self.root).read(self._name))
            return str(noted["reason"]) if abs(time.time() - noted["at"]) < _HOLDS_S else None
        return None

    def note(self, reason: str) -> bool:
        """Let the launch's other jobs know; True for the one that is the first to say it."""
        if not self.root or self.reason is not None:
            return not self.root
        noted = json.dumps({"reason": reason, "at": time.time()}).encode()
        with suppress(DeltascaleError, OSError):
            Storage(self.root).write(self._name, noted)
        return True

    @property
    def _name(self) -> str:
        return f"studies/{self.study}/wandb/away-{self.launch}.json"


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns, or raise what it raises; after so many seconds do not wait.

    Raises:
        TimeoutError: it has not returned; it goes on, on a thread of its own.
    """
    outcomes: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((call(), None))
        except BaseException as fault:
            outcomes.put((None, fault))

    threading.Thread(target=run, name="mirror", daemon=True).start()
    try:
        result, fault = outcomes.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:.0f} s") from None
    if fault is not None:
        raise fault
    return result  # type: ignore[return-value]
