"""`NodePrices`: what a job costs an hour, by the nodes of a profile."""

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.machine.resources import Resources
from orchestrator.profiles.costs import price_per_hour
from orchestrator.profiles.profile import Nodes, Profile


@dataclass(frozen=True)
class NodePrices:
    """The prices of a profile, as `orchestrator.budget.prices.Prices` wants them."""

    currency: str
    """Their currency."""
    nodes: Sequence[Nodes]
    """Shapes of nodes."""

    def hourly(self, resources: Resources) -> float | None:
        """Return the price of what a job holds for an hour; None where it is not known."""
        return price_per_hour(resources, self.nodes)


def prices_of(profile: Profile | None) -> NodePrices | None:
    """Return the prices of a profile; None where there are none."""
    if profile is None or not profile.currency:
        return None
    if all(shape.price is None for shape in profile.nodes):
        return None
    return NodePrices(currency=profile.currency, nodes=profile.nodes)
