"""Contract: nodes that can be asked, each by a look of its own; and this machine, which always can.

`over_ray.py` asks the nodes of a Ray, `over_srun.py` those of an allocation of SLURM.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cluster.fitness.looking import Answer, look_in_process
from cluster.machine.resources import Resources, this_machine

Asked = Mapping[str, object]
"""What a look is asked, as JSON has it."""


@dataclass(frozen=True, kw_only=True)
class AskedNode:
    """One node that can be asked."""

    name: str
    """Its name for people, unique among the nodes."""
    identifier: str
    """Its name for whoever reaches it."""
    address: str | None = None
    """Its address for other nodes; None where it is not known."""
    offers: Resources
    """What jobs may use of it."""
    is_here: bool = False
    """Whether it is this machine."""


class AskedNodes(Protocol):
    """Nodes that can be asked. Call `close` at the end."""

    @property
    def nodes(self) -> Sequence[AskedNode]:
        """The nodes, in order."""

    def ask(
        self, look: str, asked: Asked | Callable[[AskedNode], Asked], limit_s: float
    ) -> dict[str, Answer]:
        """Ask every node at once; each has so many seconds for its answer.

        Args:
            look: `package.module:function` of the look.
            asked: what each node is asked; or what gives that for a node.
            limit_s: how long the look may take.

        Returns:
            Name of the node -> its answer, for every node, in order.
        """

    def close(self) -> None:
        """Let go of the nodes."""


class ThisMachine:
    """This machine alone."""

    def __init__(self) -> None:
        self.nodes: Sequence[AskedNode] = (
            AskedNode(
                name=platform.node() or "localhost",
                identifier="here",
                address="127.0.0.1",
                offers=this_machine(),
                is_here=True,
            ),
        )

    def ask(
        self, look: str, asked: Asked | Callable[[AskedNode], Asked], limit_s: float
    ) -> dict[str, Answer]:
        """Ask this machine."""
        (node,) = self.nodes
        words = asked(node) if callable(asked) else asked
        return {node.name: look_in_process(look, words, limit_s)}

    def close(self) -> None:
        """Do nothing: the machine stays."""


def unique_names(hosts: Sequence[str], identifiers: Sequence[str]) -> list[str]:
    """Name nodes by their hosts; by host and the start of the identifier where hosts are shared."""
    return [
        host if hosts.count(host) == 1 else f"{host}:{identifier[:4]}"
        for host, identifier in zip(hosts, identifiers, strict=True)
    ]
