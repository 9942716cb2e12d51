"""Prints what a plan would cost on a profile, by stage, for people."""

from orchestrator.budget.budget import money_text
from orchestrator.console import say
from orchestrator.profiles.costs import RULE, Cost, Costs
from orchestrator.text import pluralize
from orchestrator.views.text_output import gpu_hours_text


def show_costs(costs: Costs, profile: str) -> None:
    """Print GPU-hours and money of each stage, what is not known, and how it was counted."""
    say()
    say(f"on profile {profile!r}, planned, not measured:")
    width = max(14, *map(len, costs.stages), 0)
    for stage, cost in costs.stages.items():
        if cost.jobs > cost.jobs_of_unknown_hours:
            say(f"  {stage:<{width}} {_text(cost, costs.currency)}")
    if costs.total.jobs > costs.total.jobs_of_unknown_hours:
        say(f"  {'in all':<{width}} {_text(costs.total, costs.currency)}")
        say(f"  ({RULE})")
    for where, unknown in _unknown(costs).items():
        if unknown:
            listed = ", ".join(f"{stage} {number}" for stage, number in unknown.items())
            number = pluralize(sum(unknown.values()), "job")
            say(f"  not counted, of unknown hours: {number} on {where} ({listed})")


def _text(cost: Cost, currency: str | None) -> str:
    known = cost.jobs - cost.jobs_of_unknown_hours
    parts = [f"{pluralize(known, 'job'):>9}", f"{gpu_hours_text(cost.gpu_hours or 0):>16}"]
    if cost.money is not None:
        parts.append(f"{money_text(cost.money, currency or ''):>14}")
    elif currency is None:
        parts.append("no prices known")
    if cost.jobs_without_price and currency is not None:
        parts.append(f"{pluralize(cost.jobs_without_price, 'job')} without a price not counted")
    return "  ".join(parts)


def _unknown(costs: Costs) -> dict[str, dict[str, int]]:
    """Return stage -> number of jobs of unknown hours, of those on GPUs and of the others."""
    on_gpus = {stage: cost.gpu_jobs_of_unknown_hours for stage, cost in costs.stages.items()}
    others = {
        stage: cost.jobs_of_unknown_hours - on_gpus[stage] for stage, cost in costs.stages.items()
    }
    return {
        place: {stage: number for stage, number in numbers.items() if number}
        for place, numbers in (("GPUs", on_gpus), ("processors", others))
    }
