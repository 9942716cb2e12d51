"""The machines that `plan --machines` names: `NODESxGPUSxTYPE`, separated by commas."""

import math
import re

from cluster.accelerators import gpu_memory_gb, known_names
from cluster.errors import UserError
from cluster.resources import Resources

GRAMMAR = (
    "NODESxGPUSxTYPE, several separated by commas: 2x8xH100-80GB is two nodes of eight H100 of "
    "80 GB each, 1x0 one node without GPUs"
)
_ONE = re.compile(r"([1-9][0-9]*)x(?:0|([1-9][0-9]*)x([A-Za-z0-9][A-Za-z0-9_. -]*))")
_MOST_NODES = 10_000


def machines_named(text: str) -> list[Resources]:
    """One entry per node; cores and host memory are taken to be enough. Raises UserError."""
    return [node for each in text.split(",") for node in _nodes(each.strip())]


def _nodes(text: str) -> list[Resources]:
    found = _ONE.fullmatch(text)
    if found is None or int(found[1]) > _MOST_NODES:
        raise UserError(f"{text!r} names no machines", where="--machines", hint=GRAMMAR)
    if found[2] is None:
        return [_node(0, 0.0)] * int(found[1])
    memory_gb = gpu_memory_gb(found[3])
    if not memory_gb:
        raise UserError(
            f"the memory of a {found[3]!r} is not known",
            where="--machines",
            allowed=known_names(),
            hint=f"or write its memory: {found[1]}x{found[2]}x{found[3]}-80GB",
        )
    return [_node(int(found[2]), memory_gb)] * int(found[1])


def _node(num_gpus: int, memory_gb: float) -> Resources:
    return Resources(
        num_cpus=math.inf, num_gpus=num_gpus, memory_gb=math.inf, gpu_memory_gb=memory_gb
    )
