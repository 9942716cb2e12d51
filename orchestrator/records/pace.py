"""How much a launch does at a time, from the times in its ledger; what was lately counts most."""

import math
from dataclasses import dataclass

_LATELY_S = 600.0
"""After so long a moment counts 1/e of what it did."""


@dataclass(kw_only=True)
class Pace:
    """What was held at a time while anything ran."""

    busy_s: float = 0.0
    """Attempts that were open, times seconds."""
    gpus_s: float = 0.0
    """Accelerators that they held, times seconds."""
    active_s: float = 0.0
    """Seconds in which any was open."""
    gpu_active_s: float = 0.0
    """Seconds in which any held an accelerator."""
    worked_s: float = 0.0
    """Seconds that attempts which ended worked."""
    held_s: float = 0.0
    """Seconds that these were open: those of one call wait for one another."""
    num_open: int = 0
    """Attempts that are open."""
    num_gpus: float = 0.0
    """Accelerators that they hold."""
    at: float | None = None
    """When the ledger said something last, in seconds since the epoch."""

    def note_start(self, at: float, num_gpus: float) -> None:
        """Take note that an attempt was submitted."""
        self._pass_to(at)
        self.num_open += 1
        self.num_gpus += num_gpus

    def note_end(self, at: float, num_gpus: float, *, worked_s: float, held_s: float) -> None:
        """Take note of an attempt that ended, how long it worked and how long it was open."""
        self._pass_to(at)
        self.num_open -= 1
        self.num_gpus = max(0.0, self.num_gpus - num_gpus)
        self.worked_s += max(0.0, worked_s)
        self.held_s += max(0.0, held_s)

    def _pass_to(self, at: float) -> None:
        """Add what was open since the moment before."""
        if self.at is not None and self.num_open > 0:
            passed = min(max(0.0, at - self.at), 10 * _LATELY_S)
            fading = math.exp(-passed / _LATELY_S)
            self.busy_s = self.busy_s * fading + self.num_open * passed
            self.active_s = self.active_s * fading + passed
            if self.num_gpus:
                self.gpus_s = self.gpus_s * fading + self.num_gpus * passed
                self.gpu_active_s = self.gpu_active_s * fading + passed
        self.at = at

    @property
    def width(self) -> float | None:
        """Jobs at work at a time, where that is known."""
        if self.active_s <= 0:
            return None
        at_work = min(1.0, self.worked_s / self.held_s) if self.held_s else 1.0
        return self.busy_s / self.active_s * at_work

    @property
    def gpus_at_once(self) -> float | None:
        """Accelerators held at a time, where that is known."""
        return self.gpus_s / self.gpu_active_s if self.gpu_active_s > 0 else None
