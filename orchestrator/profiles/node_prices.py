"""`NodePrices`: what a job costs an hour, by the nodes of a profile.

A launch that a batch script starts is given no profile: there a variable holds its prices.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from cluster.errors import UserError
from cluster.machine.resources import Resources
from orchestrator.profiles.costs import price_per_hour
from orchestrator.profiles.profile import Nodes, Profile

VARIABLE = "DELTASCALE_PRICES"
"""Variable that holds the prices of a profile, as `prices_text` writes them."""


@with_config(ConfigDict(extra="forbid", strict=True))
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


_PRICES = TypeAdapter(NodePrices)


def prices_of(
    profile: Profile | None, environment: Mapping[str, str] = os.environ
) -> NodePrices | None:
    """Return the prices of a profile, or else of the environment; None where there are none.

    Raises:
        UserError: what the environment holds are no prices.
    """
    if profile is None:
        text = environment.get(VARIABLE)
        try:
            return _PRICES.validate_json(text) if text else None
        except ValidationError:
            raise UserError(
                "it holds no prices of a profile", where=VARIABLE, hint=f"`unset {VARIABLE}`"
            ) from None
    if not profile.currency or all(shape.price is None for shape in profile.nodes):
        return None
    return NodePrices(currency=profile.currency, nodes=profile.nodes)


def prices_text(profile: Profile) -> str | None:
    """Write the prices of a profile for the variable; None where it has none."""
    prices = prices_of(profile)
    if prices is None:
        return None
    nodes = []
    for shape in prices.nodes:
        fields = {name: getattr(shape, name) for name in Nodes.model_fields}
        memory = None if shape.memory is None else f"{shape.memory:.6f}GB"
        nodes.append({**fields, "memory": memory})
    return json.dumps({"currency": prices.currency, "nodes": nodes})
