"""`NodeCalls`: small calls on the nodes of running attempts, beside what runs there."""

from collections.abc import Callable, Iterator

from cluster.executor import Ending, Executor, Outcome, Surroundings, load_entry


class NodeCalls:
    """Calls of a launch that look after processes, each with a ticket of its own.

    Args:
        executor: runs them.
        prefix: what their tickets begin with.
    """

    def __init__(self, executor: Executor, prefix: str) -> None:
        self.interrupt: Callable[[str, str], bool] | None = getattr(executor, "interrupt", None)
        """Ends a job in this very process; None where jobs have processes of their own."""
        self._executor = executor
        self._prefix = prefix
        self._num_calls = 0
        self._answered: list[Outcome] = []

    def ask(self, node: str, entry: str, payload: str) -> str:
        """Queue a call on a node; return its ticket."""
        self._num_calls += 1
        ticket = f"{self._prefix}{self._num_calls:06d}"
        if self.interrupt is None:
            self._executor.submit_beside(ticket, node, entry, payload)
        else:
            answer = load_entry(entry)(payload, Surroundings(node=node))
            self._answered.append(Outcome(ticket=ticket, ending=Ending.RETURNED, answer=answer))
        return ticket

    def answer_here(self, node: str, entry: str, payload: str) -> str | None:
        """Call at once where the node is this machine; None where it is another.

        For what takes no time: by a ticket a process may have to be started first.
        """
        if node not in self._nodes_here():
            return None
        return load_entry(entry)(payload, Surroundings(node=node))

    def owns(self, outcome: Outcome) -> bool:
        """Tell whether this is the end of one of these calls."""
        return outcome.ticket.startswith(self._prefix)

    def answered(self) -> Iterator[Outcome]:
        """Yield the calls, each once, that have ended where jobs run in this very process."""
        while self._answered:
            yield self._answered.pop()

    def _nodes_here(self) -> set[str]:
        """Return the nodes, by names and addresses, that are the machine of this process."""
        rooms = self._executor.rooms()
        return {name for room in rooms if room.is_here for name in (room.name, room.address)}
