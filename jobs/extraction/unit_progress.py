"""`UnitProgress`: reports how far an extraction is, and stops the extraction on request."""

from __future__ import annotations

import time

from jobs.extraction.unit_shares import UnitShares
from jobs.tokens.batches import Unit
from jobs.worker.work import Stopped, Work

_LOG_EVERY_S = 10.0


class UnitProgress:
    """Counts the tokens of finished units, and looks before each unit for a request to stop."""

    def __init__(self, work: Work, shares: UnitShares, num_tokens: int) -> None:
        self._work = work
        self._shares = shares
        self._num_tokens = num_tokens
        self._num_computed = 0
        self._started_at = self._logged_at = time.monotonic()

    def start(self, unit: Unit) -> None:
        """Report a unit; raise Stopped when the job is to stop, its finished units kept."""
        if self._work.stop_requested:
            raise Stopped
        share = self._shares.num_tokens_done / self._num_tokens
        self._work.progress(share, f"unit {unit.number}")

    def finish(self, unit: Unit) -> None:
        """Count the tokens of a unit that was computed."""
        self._num_computed += unit.num_tokens
        if time.monotonic() - self._logged_at >= _LOG_EVERY_S:
            self.log_speed()

    def log_speed(self) -> None:
        """Log the tokens per second so far."""
        self._logged_at = time.monotonic()
        if self._num_computed:
            speed = self._num_computed / (self._logged_at - self._started_at)
            self._work.tracker.log(
                {"extract/tokens_per_s": speed}, axis="extract/tokens", step=self._num_computed
            )
