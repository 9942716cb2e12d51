"""`UnitProgress`: how far an extraction is, for whoever watches, and when it is to stop."""

from __future__ import annotations

import time

from jobs.extraction.unit_shares import UnitShares
from jobs.tokens.batches import Unit
from jobs.worker.work import Stopped, Work

_TRACK_EVERY_S = 10.0


class UnitProgress:
    """Counts tokens of finished units, and asks before each whether to go on."""

    def __init__(self, work: Work, shares: UnitShares, num_tokens: int) -> None:
        self._work = work
        self._shares = shares
        self._num_tokens = num_tokens
        self._computed = 0
        self._started = self._tracked = time.monotonic()

    def before(self, unit: Unit) -> None:
        """Raise Stopped when the job is to stop; finished units are kept for the next attempt."""
        if self._work.stop_requested:
            raise Stopped
        share = self._shares.num_tokens_done / self._num_tokens
        self._work.progress(share, f"unit {unit.number}")

    def after(self, unit: Unit) -> None:
        """A unit was computed."""
        self._computed += unit.num_tokens
        now = time.monotonic()
        if now - self._tracked >= _TRACK_EVERY_S:
            self.track()

    def track(self) -> None:
        """Log the speed so far."""
        self._tracked = time.monotonic()
        if self._computed:
            speed = self._computed / (self._tracked - self._started)
            self._work.tracker.log(
                {"extract/tokens_per_s": speed}, axis="extract/tokens", step=self._computed
            )
