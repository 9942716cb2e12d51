"""Do all nodes reach each other by TCP, at ports that the kernel chooses?"""

from collections.abc import Iterator, Mapping

from cluster.fitness.asked_nodes import AskedNode
from cluster.fitness.looking import Answer
from orchestrator.doctor.answers import listed, seen, silent
from orchestrator.doctor.check import Check, Line, bad, ok
from orchestrator.doctor.site import Site
from orchestrator.text import pluralize

_FREE = "cluster.fitness.looks.ports:look_free"
_LOOK = "cluster.fitness.looks.ports:look"
_WAIT_S = 30.0
"""How long nodes wait for each other: a process starts late from a slow shared disk."""
_OPEN = (
    "open TCP 32768-60999 (net.ipv4.ip_local_port_range) between all nodes, both ways: ranks of a "
    "gang meet there"
)


class Ports(Check):
    """Rendezvous, gloo and NCCL take ports that the kernel chooses, which firewalls often drop."""

    ORDER = 60
    LIMIT_S = 120.0

    def lines(self, site: Site) -> Iterator[Line]:
        """Have every node listen, and connect to all others."""
        nodes = {node.name: node for node in site.nodes.nodes}
        if len(nodes) == 1:
            yield ok("there is one machine: nothing to reach")
            return
        free = site.nodes.ask(_FREE, lambda node: {"address": node.address}, 10)
        yield from silent(free)
        places = {name: [nodes[name].address, value["port"]] for name, value in seen(free).items()}

        def asked(node: AskedNode) -> dict[str, object]:
            own = places.get(node.name, [node.address, 0])
            others = {name: place for name, place in places.items() if name != node.name}
            place = {"name": node.name, "address": own[0], "port": own[1]}
            return {**place, "others": others, "wait_s": _WAIT_S}

        yield from judge(site.nodes.ask(_LOOK, asked, _WAIT_S + 10))


def judge(answers: Mapping[str, Answer]) -> Iterator[Line]:
    """Say who does not reach whom."""
    yield from silent(answers)
    there = seen(answers)
    unreached: dict[tuple[str, str], list[str]] = {}
    for name, value in there.items():
        for other, fault in dict(value["unreached"]).items():
            unreached.setdefault((other, fault), []).append(name)
    for (other, fault), names in unreached.items():
        yield bad(f"{other} is not reached from {listed(names)}: {fault}", _OPEN)
    if there and not unreached:
        yield ok(f"{pluralize(len(there), 'node')} reach each other")
