"""Contract: `Prices` say what a job costs an hour while it holds its part of the machines."""

from typing import Protocol

from cluster.machine.resources import Resources


class Prices(Protocol):
    """Prices of the machines that a launch uses."""

    @property
    def currency(self) -> str:
        """The currency, three letters."""

    def hourly(self, resources: Resources) -> float | None:
        """Return what holding these resources costs an hour; None where no price is known.

        Args:
            resources: of a job, all its ranks.
        """
