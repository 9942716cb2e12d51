"""What a launch has spent, which jobs its budget still allows, and when it is to save and end.

Forecasts reserve, and never refuse: a job that may cost more than is left waits while others run,
and is begun once nothing else is. What is measured decides: what runs is asked to save when what
all launches of the study have spent, and what saving may cost, comes up to the budget.
"""

import math
import time
from collections.abc import Sequence

from cluster.machine.resources import Resources
from orchestrator.budget.budget import BYTES, GPU_HOURS, describe_amount
from orchestrator.budget.disk_use import DiskUse
from orchestrator.dispatch.job_queue import JobQueue
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.submitter import Submitter
from orchestrator.records.events import Holding

_BEAT_S = 60.0
"""How often the ledger is told that attempts hold what they hold: a launch that is killed loses
the account of no more than this."""
_SAVE_S = 120.0
_SAVE_SHARE = 0.02
"""What saving may take: so long, and no more than this part of the budget."""
_LOCAL_COUNT_EVERY_S = 10.0
_REMOTE_COUNT_EVERY_S = 60.0
"""How often the bytes of running attempts are counted."""


class BudgetWatch:
    """Measures one launch against its budget; without a budget it only keeps the account."""

    def __init__(self, launch: RunningLaunch, queue: JobQueue, attempts: Submitter) -> None:
        self.saving: set[str] = set()
        """Jobs that were asked to save because the budget is spent; the next launch goes on."""
        self._launch, self._queue, self._attempts = launch, queue, attempts
        self._limits = launch.budget.limits
        self._clock = launch.patience.clock
        self._beat_at = self._clock()
        self._is_over: set[str] = set()
        self._reserved: dict[str, float] = {}
        self._disk = DiskUse(launch.assigner.storage) if BYTES in self._limits else None
        self._counted_at = -math.inf
        self._to_count = set(launch.journal.past.jobs)

    def beat(self, *, is_last: bool = False) -> None:
        """Tell the ledger now and then how long attempts have held what they hold."""
        now = self._clock()
        if not self._attempts.running:
            self._beat_at = now
        elif is_last or now - self._beat_at >= _BEAT_S:
            seconds = round(now - self._beat_at, 3)
            self._launch.journal.append(Holding(at=time.time(), seconds=seconds))
            self._beat_at = now

    def count(self) -> None:
        """Count the bytes on the root, where they are limited; raises what the storage raises."""
        storage = self._launch.assigner.storage
        every_s = _LOCAL_COUNT_EVERY_S if storage.is_local else _REMOTE_COUNT_EVERY_S
        if self._disk is None or self._clock() - self._counted_at < every_s:
            return
        self._to_count.update(self._attempts.running.jobs)
        self._disk.count(self._to_count, {*self._launch.journal.past.launches, self._launch.id})
        self._to_count = set(self._attempts.running.jobs)  # once more when they have ended
        self._counted_at = self._clock()

    def stop_what_costs(self) -> None:
        """Ask what runs and costs to save, once what was spent comes up to the budget."""
        for unit, limit in self._limits.items():
            rate = self._running_rate(unit)
            if rate <= 0 or self._spent(unit) + _to_save(unit, limit, rate) < limit:
                continue
            if unit not in self._is_over:
                self._reserved[unit] = self._reserved_for(unit)
                # What is on disk may yet be let go; hours and money are spent for good.
                self._is_over |= {unit} - {BYTES}
            running = self._attempts.running
            for key in running.jobs:
                is_asked = all(map(self._attempts.was_stopped, running.at_job(key)))
                if not is_asked and self._costs(key, unit):
                    self.saving.add(key)
                    self._attempts.stop(key, within_s=_SAVE_S)

    def allows(self, key: str, resources: Resources) -> bool:
        """Tell whether a job may start, or one more worker join it."""
        for unit, limit in self._limits.items():
            rate = self._rate(unit, resources)
            if rate <= 0:
                continue
            if unit in self._is_over:
                return False
            running = self._running_rate(unit)
            left = limit - self._spent(unit)
            if left - _to_save(unit, limit, running + rate) <= 0:
                return False
            if running > 0 and self._expected(unit, key) > left - self._reserved_for(unit):
                return False
        return True

    def is_spent(self) -> bool:
        """Tell whether the budget alone keeps every job that could start now."""
        if not self._limits or self._attempts.running or not self._queue.is_laid_out:
            return False
        waiting = [*self._queue.parked, *(offer.key for offer in self._queue.ready.offers())]
        return not self.allows_one_of(waiting)

    def allows_one_of(self, keys: Sequence[str]) -> bool:
        """Tell whether one of these jobs may start; also where there are none."""
        jobs = self._launch.states.jobs
        return not keys or any(self.allows(key, jobs[key].resources) for key in keys)

    def describe(self) -> str:
        """Say in one sentence what was spent, reserved, is left, and what is not done."""
        states = self._launch.states
        parts = []
        for unit, limit in self._limits.items():
            spent = self._spent(unit)
            parts.append(
                f"{describe_amount(unit, spent)} of {describe_amount(unit, limit)} spent, "
                f"{describe_amount(unit, self._reserved.get(unit, 0.0))} reserved for what ran, "
                f"{describe_amount(unit, max(0.0, limit - spent))} left"
            )
        left = len(states.jobs) - states.counts[JobState.DONE]
        return (
            f"budget spent: {'; '.join(parts)}; {left} of {len(states.jobs)} jobs are not done; "
            "the same command with a larger --budget goes on from here"
        )

    def _spent(self, unit: str) -> float:
        """Return what all launches of the study have spent, attempts that run included."""
        if unit == BYTES:
            return self._disk.bytes if self._disk is not None else 0.0
        spent, now = self._launch.journal.past.spent, self._clock()
        before = spent.gpu_seconds / 3600 if unit == GPU_HOURS else spent.money.get(unit, 0.0)
        return before + sum(
            (now - attempt.since) / 3600 * self._rate(unit, attempt.held)
            for attempt in self._attempts.running.values()
        )

    def _rate(self, unit: str, resources: Resources) -> float:
        """Return what holding these costs, an hour; of disk, 1 for whatever writes."""
        if unit == GPU_HOURS:
            return resources.total.num_gpus
        if unit == BYTES:
            return 1.0
        price = self._launch.prices.hourly(resources) if self._launch.prices else None
        return price or 0.0

    def _running_rate(self, unit: str) -> float:
        running = self._attempts.running.values()
        return sum(self._rate(unit, attempt.held) for attempt in running)

    def _costs(self, key: str, unit: str) -> bool:
        running = self._attempts.running
        return any(self._rate(unit, running[attempt].held) > 0 for attempt in running.at_job(key))

    def _expected(self, unit: str, key: str) -> float:
        """Return what a job may cost by the forecast of its kind; 0 where there is none."""
        if unit == BYTES:
            return self._queue.expected_bytes(key) or 0.0
        layout = self._queue.layout(key)
        hours = layout.hours if layout is not None else None
        return (hours or 0.0) * self._rate(unit, self._launch.states.jobs[key].resources)

    def _reserved_for(self, unit: str) -> float:
        """Return what the jobs that run may still cost, by the forecasts of their kinds."""
        running, now = self._attempts.running, self._clock()
        reserved = 0.0
        for key in running.jobs:
            attempts = [running[attempt] for attempt in running.at_job(key)]
            used: float = sum(
                (now - attempt.since) / 3600 * self._rate(unit, attempt.held)
                for attempt in attempts
            )
            if self._disk is not None and unit == BYTES:
                used = self._disk.of_job(key)
            reserved += max(0.0, self._expected(unit, key) - used)
        return reserved


def _to_save(unit: str, limit: float, rate: float) -> float:
    """Return what saving may cost, of so much an hour; of disk, checkpoints of unknown size."""
    return _SAVE_SHARE * limit if unit == BYTES else min(rate * _SAVE_S / 3600, _SAVE_SHARE * limit)
