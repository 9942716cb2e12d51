"""Which nodes hold a layout, how much of their memory it may take, and what they lack."""

from collections.abc import Sequence

from cluster.machine.accelerators import Accelerator
from cluster.machine.resources import Resources
from jobs.forecast.gpu_job import CONTEXT_GB, USABLE, nodes_with, slowest_gpu, smallest_gpu_gb
from jobs.training.layout import Layout


def _nodes_with(layout: Layout, machines: Sequence[Resources]) -> list[Resources]:
    """Return nodes with the GPUs of one node's ranks, those with the most memory first."""
    on_each = layout.num_gpus // layout.num_nodes
    able = nodes_with(machines, on_each) if on_each else machines
    return sorted(able, key=lambda node: (-node.gpu_memory_gb, -node.memory_gb))


def have_gpus(layout: Layout, machines: Sequence[Resources]) -> bool:
    """Return whether enough of the nodes have the GPUs that one of them has to hold."""
    return len(_nodes_with(layout, machines)) >= layout.num_nodes


def _chosen(layout: Layout, machines: Sequence[Resources]) -> list[Resources]:
    """Return the nodes that it would get; none where it is not on GPUs."""
    return _nodes_with(layout, machines)[: layout.num_nodes] if layout.num_gpus else []


def gpu_of(layout: Layout, machines: Sequence[Resources]) -> Accelerator | None:
    """Return the slowest GPU that it may use; None where not known or not on GPUs."""
    return slowest_gpu(_chosen(layout, machines))


def usable_gb(layout: Layout, machines: Sequence[Resources]) -> float | None:
    """Return the most memory of a rank on these machines, in 10^9 bytes; None if not known."""
    if layout.num_gpus:
        memory = smallest_gpu_gb(_chosen(layout, machines))
        return (memory - CONTEXT_GB) * USABLE if memory else None
    most = max((node.memory_gb for node in machines), default=0.0)
    return USABLE * most * layout.num_nodes / layout.num_ranks if most else None


def lacking(layout: Layout, machines: Sequence[Resources], peak_gb: float | None) -> str:
    """Say what no machine has, such as `needs 8 x 80 GB on one node; the largest node has 4`."""
    nodes = "one node" if layout.num_nodes == 1 else f"each of {layout.num_nodes} nodes"
    num_able = len(_nodes_with(layout, machines))
    if 0 < num_able < layout.num_nodes:
        with_gpus = " with the GPUs that each needs" if layout.num_gpus else ""
        return f"needs {layout.num_nodes} nodes; there {_are(num_able)}{with_gpus}"
    if not layout.num_gpus:
        most = max((node.memory_gb for node in machines), default=0.0)
        return (
            f"needs {layout.num_ranks} x {peak_gb or 0:.3g} GB of memory on {nodes}; "
            f"the largest node has {most:g} GB"
        )
    on_each, memory = layout.num_gpus // layout.num_nodes, _largest_gpu(machines)
    most = max((node.num_gpus for node in machines), default=0)
    if not have_gpus(layout, machines):
        gpus = f"{on_each} x {memory:g} GB" if memory else f"{on_each} GPUs"
        return f"needs {gpus} on {nodes}; the largest node has {most:g}"
    return (
        f"needs {on_each} x {(peak_gb or 0) / USABLE + CONTEXT_GB:.3g} GB on {nodes}, even as "
        f"{described(layout)}; the largest GPU has {memory:g} GB"
    )


def _are(number: int) -> str:
    return "is 1" if number == 1 else f"are {number}"


def _largest_gpu(machines: Sequence[Resources]) -> float:
    return max((node.gpu_memory_gb for node in machines if node.num_gpus), default=0.0)


def of_most(layout: Layout, machines: Sequence[Resources]) -> str:
    """Return the memory of the GPUs that it uses, such as ` of 80 GB`; empty if not known."""
    memory = smallest_gpu_gb(_chosen(layout, machines))
    return f" of {memory:g} GB" if memory else ""


def described(layout: Layout) -> str:
    """Describe a layout: `zero2 on 4 GPUs, 1 row at a time, activations computed again`."""
    where = _count(layout.num_gpus, "GPU") if layout.num_gpus else "the processor"
    nodes = f" of {layout.num_nodes} nodes" if layout.num_nodes > 1 else ""
    parts = [f"{layout.engine} on {where}{nodes}", f"{_count(layout.micro_batch, 'row')} at a time"]
    if layout.activation_checkpointing:
        parts.append("activations computed again")
    if layout.offload:
        parts.append("optimizer in host memory")
    return ", ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
