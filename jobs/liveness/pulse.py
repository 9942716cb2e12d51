"""`Pulse`: what this process is at, noted by whoever does the work, read by the thread that beats.

Noting a step is a few assignments (no lock, no file, no clock of the system but one), because it is
done between any two steps of a training run. Now and then it looks at the memory of its GPUs, too.
"""

import contextlib
import math
import threading
import time
from collections import deque
from statistics import median

from jobs.liveness.heartbeat import Heartbeat, Phase
from jobs.liveness.held_gpus import HeldGpus, held_gpus

_LATEST = 101
"""Steps whose times give the median and the rate."""
_GPUS_EVERY_S = 5.0
"""How often the memory on GPUs is looked at."""


class Pulse:
    """The phase and step of one rank of one attempt; made by the thread that does the work."""

    def __init__(self, rank: int = 0, *, has_gpus: bool = False) -> None:
        self.rank = rank
        """Number of the rank, from 0."""
        self._thread = threading.get_ident()
        self.phase = Phase.PLACING
        """What it is doing."""
        self._since = time.time()
        self._moved_at = time.monotonic()
        self.step: int | None = None
        """Steps that are done; None before the first."""
        self.tokens: int | None = None
        """Tokens that it has worked through; None where nobody counts them."""
        self._steps: int | None = None
        self._unit: str | None = None
        self._fraction: float | None = None
        self._longest_s: float | None = None
        self._latest: deque[float] = deque(maxlen=_LATEST)
        self._is_first = True
        self.gpus = HeldGpus()
        """The GPUs that it held when last looked at."""
        self._gpus_due_at = 0.0 if has_gpus else math.inf

    def enter(self, phase: Phase) -> None:
        """Note that something else begins; what is begun again goes on."""
        if phase is not self.phase:
            self.phase, self._since = phase, time.time()
        self._look_at_gpus(time.monotonic())
        self._moved_at = time.monotonic()

    def note_step(self, step: int, steps: int | None, unit: str = "step") -> None:
        """Note that a step has ended: so many are done of so many. The next one begins now."""
        now = time.monotonic()
        seconds, self._moved_at = now - self._moved_at, now
        if self.phase is Phase.STEPPING and not self._is_first:
            self._latest.append(seconds)
            if self._longest_s is None or seconds > self._longest_s:
                self._longest_s = seconds
        self._is_first = False
        self.step, self._steps, self._unit = step, steps, unit
        if self.phase is not Phase.STEPPING:
            self.phase, self._since = Phase.STEPPING, time.time()
        self._look_at_gpus(now)

    def note_progress(self, fraction: float | None, doing: str) -> None:
        """Note what a kind that counts no steps says of its progress."""
        if fraction is not None and self._unit in (None, "part"):
            if fraction != self._fraction:
                self._fraction = fraction
                self.note_step((self.step or 0) + 1, None, "part")
        elif fraction is None:
            self.enter(Phase.LOADING if doing.startswith("loading") else Phase.WORKING)

    def _look_at_gpus(self, now: float) -> None:
        if now >= self._gpus_due_at and threading.get_ident() == self._thread:
            self._gpus_due_at = now + _GPUS_EVERY_S
            with contextlib.suppress(Exception):  # a GPU that is out of order: its job will say so
                self.gpus = held_gpus()

    def read(self, beat: int) -> Heartbeat:
        """Return what is known now; may be called from another thread."""
        latest = list(self._latest)
        total_s = sum(latest)
        return Heartbeat(
            rank=self.rank,
            beat=beat,
            thread=self._thread,
            phase=self.phase,
            since=round(self._since, 3),
            step=self.step,
            steps=self._steps,
            unit=self._unit,
            tokens=self.tokens,
            rate=round(len(latest) / total_s, 4) if total_s else None,
            longest_s=_rounded(self._longest_s),
            median_s=_rounded(median(latest)) if latest else None,
            idle_s=round(time.monotonic() - self._moved_at, 3),
            gpu_memory_gb=self.gpus.memory_gb,
        )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
