"""Can ranks add up a tensor together: between the GPUs of a node, and between nodes?"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from cluster.fitness.asked_nodes import AskedNode
from cluster.fitness.looking import Answer
from orchestrator.doctor.answers import listed, seen, silent
from orchestrator.doctor.check import Check, Line, bad, ok, unchecked
from orchestrator.doctor.site import Site
from orchestrator.text import pluralize

_FREE = "cluster.fitness.looks.ports:look_free"
_LOOK = "cluster.fitness.looks.all_reduce:look"
_WITHIN_S = 60.0
"""Starting torch on a slow shared disk takes most of it."""
_REMEDY = (
    "see `ports`; on hosts of several networks set NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME, or "
    "--node-ip-address of `ray start`; NCCL_DEBUG=INFO says more"
)


class AllReduce(Check):
    """A gang of ranks cannot train where this fails, and hangs where it hangs."""

    ORDER = 62
    LIMIT_S = 300.0

    def lines(self, site: Site) -> Iterator[Line]:
        """Run it on the GPUs of each node, then with one rank on every node."""
        nodes = site.nodes.nodes
        gpus = [int(node.offers.num_gpus) for node in nodes]
        if max(gpus) > 1:
            yield from _within_nodes(site, gpus)
        if len(nodes) > 1:
            backend = "nccl" if min(gpus) > 0 else "gloo"
            yield from _over(site, [1] * len(nodes), backend)
        elif max(gpus) < 2:
            yield from _over(site, [2], "gloo")


def _within_nodes(site: Site, gpus: Sequence[int]) -> Iterator[Line]:
    """Let every node of several GPUs add up over its own, all nodes at the same time."""
    free = seen(site.nodes.ask(_FREE, lambda node: {"address": "127.0.0.1"}, 10))
    number = {node.name: here for node, here in zip(site.nodes.nodes, gpus, strict=True)}

    def asked(node: AskedNode) -> dict[str, object]:
        here = number[node.name]
        port = free.get(node.name, {}).get("port", 0)
        head = {"head": "127.0.0.1", "port": port, "address": "127.0.0.1"}
        return {**head, "first": 0, "here": here, "world": here, **_rest("nccl", 1)}

    answers = site.nodes.ask(_LOOK, asked, _WITHIN_S + 10)
    for name, answer in answers.items():
        if number[name] > 1:
            yield from judge({name: answer}, number[name], "nccl")


def _over(site: Site, here: Sequence[int], backend: str) -> Iterator[Line]:
    nodes = site.nodes.nodes
    head = nodes[0]
    free = site.nodes.ask(_FREE, lambda node: {"address": node.address}, 10)[head.name]
    if free.value is None:
        yield unchecked(f"{head.name}: {free.fault}")
        return
    place = {"head": head.address, "port": free.value["port"]}
    firsts = dict(zip([n.name for n in nodes], accumulate([0, *here]), strict=False))
    numbers = dict(zip(firsts, here, strict=True))

    def asked(node: AskedNode) -> dict[str, object]:
        own = {"first": firsts[node.name], "here": numbers[node.name], "address": node.address}
        return {**place, **own, "world": sum(here), **_rest(backend, len(nodes))}

    yield from judge(site.nodes.ask(_LOOK, asked, _WITHIN_S + 10), sum(here), backend)


def _rest(backend: str, num_nodes: int) -> dict[str, object]:
    return {"backend": backend, "num_nodes": num_nodes, "limit_s": _WITHIN_S}


def judge(answers: Mapping[str, Answer], world: int, backend: str) -> Iterator[Line]:
    """Say how long it took, or which ranks did not come to the sum, and why."""
    yield from silent(answers)
    there = seen(answers)
    ranks = [(name, rank) for name, value in there.items() for rank in list(value["ranks"])]
    faults: dict[str, list[str]] = {}
    for name, rank in ranks:
        if "fault" in rank:
            faults.setdefault(rank["fault"], []).append(name)
    what = f"{pluralize(world, 'rank')} on {pluralize(len(answers), 'node')}, {backend}"
    for fault, names in faults.items():
        yield bad(f"{what}: {listed(list(dict.fromkeys(names)))}: {fault}", _REMEDY)
    if ranks and not faults:
        seconds = max(rank["seconds"] for _, rank in ranks)
        interfaces = sorted({rank["interface"] for _, rank in ranks if rank["interface"]})
        over = f" over {', '.join(interfaces)}" if interfaces else ""
        yield ok(f"{what}{over}: 4 MiB in {seconds * 1000:.0f} ms")
