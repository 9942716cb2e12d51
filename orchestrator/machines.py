"""The machines a launch has, as it last saw them, and whether one of them could hold a job."""

from cluster.executor import Executor
from cluster.resources import Resources


class Machines:
    """What an executor offers; look again now and then, because nodes come and go."""

    def __init__(self, executor: Executor) -> None:
        self.capacity = Resources(num_cpus=0)
        self._executor = executor
        self._nodes: list[Resources] = []

    def look(self) -> bool:
        """See what there is now; True when the nodes are others than before."""
        self.capacity = self._executor.capacity()
        before, self._nodes = self._nodes, self._executor.nodes()
        return self._nodes != before

    def can_hold(self, asked: Resources) -> bool:
        """True when it fits on one of the nodes while that is empty."""
        return any(asked.fits(node) for node in self._nodes)

    def refusal(self, asked: Resources) -> str:
        """Why it cannot be held."""
        there_is = " / ".join(sorted({node.described() for node in self._nodes})) or "nothing"
        return f"no node can hold it: needs {asked.described()}, nodes have {there_is}"
