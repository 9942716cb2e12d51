"""Do control groups give as many cores and as much memory as jobs are promised?"""

from collections.abc import Iterator, Mapping, Sequence

from cluster.fitness.asked_nodes import AskedNode
from cluster.fitness.looking import Answer
from orchestrator.doctor.answers import at, seen, silent
from orchestrator.doctor.check import Check, Line, bad, ok, warning
from orchestrator.doctor.site import Site

_LOOK = "cluster.fitness.looks.limits:look"
_ROOM = 1.05
"""Memory is counted in GB and GiB, and reserved in parts."""


class Container(Check):
    """A Ray in a container or batch job counts the cores and memory of the whole host."""

    ORDER = 44

    def lines(self, site: Site) -> Iterator[Line]:
        """Hold what Ray offers of each node against the limits of its control groups."""
        yield from judge(site.nodes.nodes, site.nodes.ask(_LOOK, {}, 20))


def judge(nodes: Sequence[AskedNode], answers: Mapping[str, Answer]) -> Iterator[Line]:
    """Say where more is offered than may be used.

    Args:
        nodes: the nodes, with what jobs may use of each.
        answers: what each has.
    """
    there = seen(answers)
    yield from silent(answers)
    good = []
    for node in nodes:
        value = there.get(node.name)
        if value is None:
            continue
        faults = list(_faults(node, value))
        yield from faults
        if not faults:
            good.append(node.name)
    if good:
        yield ok(f"{at(good, len(there))}the cores and memory that jobs are offered are there")


def _faults(node: AskedNode, value: Mapping[str, object]) -> Iterator[Line]:
    cores = [float(str(n)) for n in (value["group_cores"], value["cores"]) if n is not None]
    if node.offers.num_cpus > min(cores) * _ROOM + 1:
        yield warning(
            f"{node.name}: offers {node.offers.num_cpus:g} cores, its container or batch job has "
            f"{min(cores):g}: jobs will be slowed to that",
            "start Ray with --num-cpus as many as it may use, or give the container more",
        )
    sizes = [value["group_memory_bytes"], value["memory_bytes"]]
    memory_gb = min(float(str(size)) for size in sizes if size is not None) / 1e9
    if node.offers.memory_gb > memory_gb * _ROOM:
        yield bad(
            f"{node.name}: offers {node.offers.memory_gb:.0f} GB of memory, its container or batch "
            f"job has {memory_gb:.0f} GB: the kernel will kill jobs",
            "start Ray with --memory as much as it may use, or give the container more",
        )
