"""Prints what a plan would cost on a profile, by stage, for people."""

from orchestrator.console import say
from orchestrator.profiles.costs import RULE, Cost, Costs
from orchestrator.text import pluralize
from orchestrator.views.text_output import gpu_hours_text


def show_costs(costs: Costs, profile: str) -> None:
    """Print GPU-hours and money of each stage, what is not known, and how it was counted."""
    say()
    say(f"on profile {profile!r}, planned, not measured:")
    width = max((len(stage) for stage in costs.stages), default=0)
    for stage, cost in costs.stages.items():
        say(f"  {stage:<{max(14, width)}} {pluralize(cost.jobs, 'job'):>10}   {_text(cost, costs)}")
    say(
        f"  {'in all':<{max(14, width)}} {pluralize(costs.total.jobs, 'job'):>10}   "
        f"{_text(costs.total, costs)}"
    )
    say(f"  ({RULE})")


def _text(cost: Cost, costs: Costs) -> str:
    parts = []
    if cost.gpu_hours is not None:
        parts.append(gpu_hours_text(cost.gpu_hours))
    if cost.money is not None:
        parts.append(money_text(cost.money, costs.currency or ""))
    if cost.jobs_of_unknown_hours:
        parts.append(f"{pluralize(cost.jobs_of_unknown_hours, 'job')} of unknown hours not counted")
    if cost.jobs_without_price and costs.currency:
        parts.append(f"{pluralize(cost.jobs_without_price, 'job')} without a price not counted")
    elif cost.jobs_without_price:
        parts.append("no prices in the profile")
    return ", ".join(parts) or "nothing to run"


def money_text(amount: float, currency: str) -> str:
    """Return `12.50 EUR`, with two digits that count below a hundredth."""
    return (
        f"{amount:,.2f} {currency}" if amount >= 0.01 or not amount else f"{amount:.2g} {currency}"
    )
