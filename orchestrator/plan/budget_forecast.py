"""Says before anything starts where a budget may be too small: a warning, for forecasts err."""

from collections.abc import Iterable, Mapping

from orchestrator.budget.budget import BYTES, GPU_HOURS, Budget, describe_amount
from orchestrator.budget.prices import Prices
from orchestrator.plan.decisions import RUNS, JobDecision
from orchestrator.text import pluralize


def why_too_small(
    budget: Budget,
    decisions: Iterable[JobDecision],
    spent: Mapping[str, float],
    prices: Prices | None = None,
) -> list[str]:
    """Return a sentence for each limit that what is foreseen would pass or that does not count all.

    Args:
        budget: the limits.
        decisions: what a launch would do, with what is foreseen of each job.
        spent: unit -> what earlier launches spent.
        prices: what machines cost; None where that is not known.
    """
    to_run = {item.job.key: item for item in decisions if item.decision in RUNS}.values()
    sentences = []
    unpriced = [item for item in to_run if budget.limits_money and _price(item, prices) is None]
    if unpriced:
        sentences.append(
            f"the budget does not count {pluralize(len(unpriced), 'job')} that may run on nodes "
            f"without a price ({unpriced[0].job.label}, …): give every shape of node in the "
            "profile its `price`, 0 where it costs nothing"
        )
    for unit, limit in budget.limits.items():
        amounts = [_foreseen(unit, item, prices) for item in to_run]
        known = [amount for amount in amounts if amount is not None]
        before = spent.get(unit, 0.0)
        if before + sum(known) <= limit:
            continue
        unknown = len(amounts) - len(known)
        more = f", and {pluralize(unknown, 'job')} of which nothing is foreseen" if unknown else ""
        sentences.append(
            f"the budget of {describe_amount(unit, limit)} may be too small: "
            f"{describe_amount(unit, before)} spent, {describe_amount(unit, sum(known))} foreseen"
            f"{more}; once it is spent, jobs are asked to save and the launch ends"
        )
    return sentences


def _foreseen(unit: str, item: JobDecision, prices: Prices | None) -> float | None:
    """Return what one job is expected to cost; None where nobody knows."""
    if unit == BYTES:
        return None if item.expected_bytes is None else float(item.expected_bytes)
    hours = item.fit.hours if item.fit is not None else None
    if unit == GPU_HOURS:
        return item.gpu_hours if item.num_gpus else 0.0
    price = _price(item, prices)
    return None if hours is None or price is None else hours * price


def _price(item: JobDecision, prices: Prices | None) -> float | None:
    """Return what one job costs an hour; None where a node that may hold it has no price."""
    resources = item.job.resources if item.fit is None else item.fit.resources
    return prices.hourly(resources) if prices else None
