"""`UnitShares`: the units of an extraction that are still open to this worker, and its progress.

Several attempts may run one job at once. Each publishes its finished units, starts at a place of
its own in the plan, and looks before every unit whether another attempt has finished it. So a fast
worker takes over units of a slow one, and a dead worker costs the unit that it was computing; at
worst two workers compute the same unit, with the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from jobs.store.unit_adoption import adopt_unit, is_finished
from jobs.tokens.batches import Unit
from jobs.worker.work import Stopped, Work

_LOG_EVERY_S = 10.0


class UnitShares:
    """The units of one plan, and which of them are done, as far as one worker knows."""

    def __init__(self, work: Work, planned: Sequence[Unit], plan_hash: str) -> None:
        self._work = work
        self._attempt = work.attempt
        self._planned = planned
        self._num_tokens = sum(unit.num_tokens for unit in planned)
        self._plan_hash = plan_hash
        self._is_alone = work.num_workers == 1
        start = work.worker * len(planned) // work.num_workers
        self._order = [*planned[start:], *planned[:start]]
        self._done: set[int] = set()
        self._reopened: set[int] = set()
        self.start_clock()

    def open_units(self) -> Iterator[Unit]:
        """Yield the open units; each is looked up just before it is yielded."""
        yield from filter(self.is_open, self._order)

    def is_open(self, unit: Unit) -> bool:
        """Tell whether no worker has finished a unit yet."""
        if unit.number in self._done:
            return False
        if self._is_alone or unit.number in self._reopened:
            return True
        attempt, plan_hash = self._attempt, self._plan_hash
        return not any(
            is_finished(attempt, other, unit, plan_hash) for other in self._attempt.others()
        )

    def reopen(self, units: Sequence[Unit]) -> None:
        """Open units for good: files that other attempts left of them could not be adopted."""
        self._reopened |= {unit.number for unit in units}

    def start(self, unit: Unit) -> None:
        """Report a unit; raise Stopped when the job is to stop, its finished units kept."""
        if self._work.stop_requested:
            raise Stopped
        done = sum(unit.num_tokens for unit in self._planned if unit.number in self._done)
        self._work.progress(done / self._num_tokens, f"unit {unit.number}")

    def mark_done(self, unit: Unit) -> None:
        """Note that this worker has submitted a unit to its writer thread."""
        self._done.add(unit.number)
        self._num_computed += unit.num_tokens
        self._work.pulse.tokens = self._num_computed
        if time.monotonic() - self._logged_at >= _LOG_EVERY_S:
            self.log_speed()

    def start_clock(self) -> None:
        """Count tokens and seconds from here: the models are about to be loaded and run."""
        self._num_computed = 0
        self._started_at = self._logged_at = time.monotonic()

    def log_speed(self) -> None:
        """Log the tokens per second so far."""
        self._logged_at = time.monotonic()
        if self._num_computed:
            speed = self._num_computed / (self._logged_at - self._started_at)
            self._work.tracker.log(
                {"extract/tokens_per_s": speed}, axis="extract/tokens", step=self._num_computed
            )

    def adopt(self) -> list[Unit]:
        """Adopt every whole unit of other attempts; return the units that are still missing."""
        missing = []
        others = self._attempt.others()
        for unit in self._planned:
            if unit.number in self._done:
                continue
            if adopt_unit(self._attempt, others, unit, self._plan_hash):
                self._done.add(unit.number)
            else:
                missing.append(unit)
        return missing
