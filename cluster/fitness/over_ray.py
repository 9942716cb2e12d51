"""Asks the nodes of a Ray, whatever else runs on them; this code is carried there first."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from uuid import uuid4

from cluster.errors import SurroundingsError
from cluster.executor import Ending, Outcome
from cluster.executors.ray import Executor
from cluster.fitness.asked_nodes import Asked, AskedNode, unique_names
from cluster.fitness.looking import Answer, answer_of
from cluster.machine.resources import Resources

_ENTRY = "cluster.fitness.looking:answer"
_STARTED_WITHIN_S = 120.0
"""How long a node may take to unpack the code and start a process, when it is asked first."""
_LATER_WITHIN_S = 20.0
"""The same, once it has answered."""
_SILENT_WITHIN_S = 2.0
"""The same, where it did not answer the time before: it is not waited for again and again."""
_HEAR_S = 0.2


class NodesOfRay:
    """The nodes of a Ray that is joined as a launch joins it, also where they are unlike."""

    def __init__(self, address: str, packages: Sequence[str], access: Mapping[str, str]) -> None:
        """Join the Ray.

        Args:
            address: `host:port` of its head, or `auto`.
            packages: the packages that are carried to its nodes.
            access: Ray's variables that say where the token is; empty: those that are set.

        Raises:
            SurroundingsError: it cannot be joined.
            UserError: the address is none.
        """
        self._executor = Executor(
            address=address, packages=packages, access=access, takes_unlike_nodes=True, grace_s=1.0
        )
        self._alone = threading.Lock()
        self._start_s: dict[str, float] = {}
        try:
            self._executor.start()
            self._executor.nodes()
            rooms = sorted(
                self._executor.rooms(), key=lambda room: (not room.is_here, room.host, room.name)
            )
        except BaseException:
            self._executor.close()
            raise
        self.warning = self._executor.warning
        """What the user has to know of this Ray; None: nothing."""
        self.dashboard = self._executor.dashboard
        """`host:port` of its dashboard; None where there is none."""
        names = unique_names([room.host for room in rooms], [room.name for room in rooms])
        self.nodes: Sequence[AskedNode] = [
            AskedNode(
                name=name,
                identifier=room.name,
                address=room.address,
                offers=room.offers,
                is_here=room.is_here,
            )
            for name, room in zip(names, rooms, strict=True)
        ]

    def ask(
        self, look: str, asked: Asked | Callable[[AskedNode], Asked], limit_s: float
    ) -> dict[str, Answer]:
        """Ask every node at once, each by a task of its own."""
        with self._alone:
            try:
                outcomes = self._run(look, asked, limit_s)
            except SurroundingsError as fault:
                return {node.name: Answer(fault=fault.error) for node in self.nodes}
        return {node.name: _answer(outcomes.get(node.name), limit_s) for node in self.nodes}

    def _run(
        self, look: str, asked: Asked | Callable[[AskedNode], Asked], limit_s: float
    ) -> dict[str, Outcome]:
        """Return the outcomes that came in time, by the names of nodes; the rest is cancelled."""
        now = time.monotonic()
        tickets, until = {}, now
        for node in self.nodes:
            words = asked(node) if callable(asked) else asked
            payload = json.dumps({"look": look, "asked": words, "limit_s": limit_s})
            ticket = f"look {uuid4().hex}"
            nothing = Resources(num_cpus=0)
            self._executor.submit(ticket, _ENTRY, payload, nothing, node=node.identifier)
            tickets[ticket] = node.name
            until = max(until, now + limit_s + self._start_s.get(node.name, _STARTED_WITHIN_S))
        outcomes: dict[str, Outcome] = {}
        while len(outcomes) < len(tickets) and time.monotonic() < until:
            for outcome in self._executor.wait(_HEAR_S):
                if (name := tickets.get(outcome.ticket)) is not None:
                    outcomes[name] = outcome
        for ticket, name in tickets.items():
            self._start_s[name] = _LATER_WITHIN_S if name in outcomes else _SILENT_WITHIN_S
            if name not in outcomes:
                self._executor.cancel(ticket)
        return outcomes

    def close(self) -> None:
        """Leave the Ray."""
        with suppress(SurroundingsError):
            self._executor.close()


def _answer(outcome: Outcome | None, limit_s: float) -> Answer:
    if outcome is None:
        return Answer(fault=f"no answer within {limit_s:g} s")
    if outcome.ending is Ending.RETURNED and outcome.answer is not None:
        with suppress(ValueError, KeyError, TypeError):
            return answer_of(outcome.answer)
    return Answer(fault=(outcome.error or outcome.ending.value).splitlines()[0])
