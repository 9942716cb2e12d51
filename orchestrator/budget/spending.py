"""What all launches of a study have spent, by its ledger and its artifacts."""

from collections.abc import Mapping

from cluster.storage import Storage
from orchestrator.budget.budget import BYTES, GPU_HOURS, Budget
from orchestrator.budget.disk_use import DiskUse
from orchestrator.records.history import History


def unpriced_seconds(history: History, *, now: float | None = None) -> float:
    """Return for how long attempts held what has no price: no budget of money counts it.

    Args:
        history: what the ledger says.
        now: as for `spent_on`.
    """
    seconds = history.spent.unpriced_seconds
    for attempt in history.held.values():
        if attempt.price is None:
            seconds += max(attempt.seconds or 0.0, (now or 0.0) - attempt.since, 0.0)
    return seconds


def spent_on(
    budget: Budget, root: Storage, history: History, *, now: float | None = None
) -> dict[str, float]:
    """Return unit -> what was spent, of what a budget limits.

    Args:
        budget: says what is asked for.
        root: the output root.
        history: what the ledger says.
        now: seconds since the epoch, where a launch runs: what its attempts hold counts until
            then. None counts what is known for sure.
    """
    spent: dict[str, float] = dict.fromkeys(budget.limits, 0.0)
    if GPU_HOURS in spent:
        spent[GPU_HOURS] = history.spent.gpu_seconds / 3600
    spent.update({unit: money for unit, money in history.spent.money.items() if unit in spent})
    for attempt in history.held.values():
        hours = (attempt.seconds or 0.0) / 3600
        if now is not None:
            hours = max(hours, (now - attempt.since) / 3600)
        costs: Mapping[str | None, float] = {
            GPU_HOURS: attempt.num_gpus,
            attempt.currency: attempt.price or 0.0,
        }
        for unit, rate in costs.items():
            if unit in spent:
                spent[unit] += hours * rate
    if BYTES in spent:
        disk = DiskUse(root)
        disk.count(history.jobs, history.launches)
        spent[BYTES] = float(disk.bytes)
    return spent
