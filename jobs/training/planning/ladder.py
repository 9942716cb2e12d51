"""The ladder: every layout that a training run may have, the cheapest first.

A rung is tried when the ones before it do not fit: smaller passes, then activations computed again,
then more of the model divided or moved to host memory, then more GPUs. Batches, their order and the
number of steps are the same on all of them.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cluster.resources import Resources
from jobs.training.layout import Layout, PartialLayout


class _Mode(NamedTuple):
    """How an engine is used."""

    engine: str
    activation_checkpointing: bool
    offload: bool


_ALONE = (
    _Mode("ddp", False, False),
    _Mode("ddp", True, False),
    _Mode("zero2", True, True),
    _Mode("zero3", True, True),
)
"""Modes on one GPU, the cheapest first: dividing by one saves nothing."""
_TOGETHER = (
    _Mode("ddp", False, False),
    _Mode("ddp", True, False),
    _Mode("zero1", True, False),
    _Mode("zero2", True, False),
    _Mode("zero3", True, False),
    _Mode("zero2", True, True),
    _Mode("zero3", True, True),
)
"""Modes on several GPUs."""
_ON_PROCESSORS = (_Mode("ddp", False, False), _Mode("ddp", True, False))
"""Modes without a GPU: there is no other memory to move anything to."""


def rungs(
    global_batch: int,
    machines: Sequence[Resources],
    given: PartialLayout,
    *,
    whole_batch: bool = False,
) -> Iterator[Layout]:
    """Yield the layouts that the machines could hold by their number of GPUs, in order.

    Args:
        global_batch: rows per optimizer step.
        machines: what each node offers.
        given: fields of Layout that are decided already.
        whole_batch: whether a forward pass has to hold the global batch.
    """
    for num_gpus, num_ranks in _sizes(global_batch, machines, given, whole_batch=whole_batch):
        share = global_batch // num_ranks
        for num_nodes in _spreads(num_gpus, num_ranks, machines, given):
            for mode in _modes(num_gpus, num_ranks, given):
                for micro_batch in _micro_batches(share, given, whole_batch=whole_batch):
                    yield Layout(
                        engine=mode.engine,
                        num_ranks=num_ranks,
                        num_nodes=num_nodes,
                        num_gpus=num_gpus,
                        micro_batch=micro_batch,
                        activation_checkpointing=mode.activation_checkpointing,
                        offload=mode.offload,
                    )


def _sizes(
    global_batch: int,
    machines: Sequence[Resources],
    given: PartialLayout,
    *,
    whole_batch: bool,
) -> list[tuple[int, int]]:
    """Return (GPUs, ranks) to try, fewest first."""
    most = int(sum(node.num_gpus for node in machines))
    gpus, ranks = given.get("num_gpus"), given.get("num_ranks")
    if gpus is not None:
        return [(gpus, ranks or gpus or 1)]
    if ranks is not None:
        return [(ranks if most >= ranks else 0, ranks)]
    if not most:
        return [(0, 1)]
    largest = 1 if whole_batch else min(most, global_batch)
    return [(number, number) for number in range(1, largest + 1) if global_batch % number == 0]


def _spreads(
    num_gpus: int, num_ranks: int, machines: Sequence[Resources], given: PartialLayout
) -> list[int]:
    """Return numbers of nodes that hold the ranks evenly: the fewest, or the one that is given."""
    if "num_nodes" in given:
        return [given["num_nodes"]]
    for nodes in range(1, len(machines) + 1):
        if num_ranks % nodes == 0:
            on_each = num_gpus // nodes
            if sum(node.num_gpus >= on_each for node in machines) >= nodes:
                return [nodes]
    return [1]


def _modes(num_gpus: int, num_ranks: int, given: PartialLayout) -> list[_Mode]:
    """Return the modes to try in order: those that agree with what is given."""
    modes = _ON_PROCESSORS if not num_gpus else _ALONE if num_ranks == 1 else _TOGETHER
    agreeing = [
        mode
        for mode in modes
        if all(given.get(name, value) == value for name, value in mode._asdict().items())
    ]
    if agreeing:
        return agreeing
    engine, again = given.get("engine"), given.get("activation_checkpointing")
    offload = given.get("offload", False)
    if engine is None:
        return [_Mode("zero2" if offload else "ddp", bool(again), offload)]
    # An engine that nothing would have chosen here: with what is given, and computing again if not.
    return [_Mode(engine, kept, offload) for kept in ([False, True] if again is None else [again])]


def _micro_batches(share: int, given: PartialLayout, *, whole_batch: bool) -> list[int]:
    """Return rows at a time, the most first, each at most half of the one before."""
    if whole_batch:
        return [share]
    if "micro_batch" in given:
        return [given["micro_batch"]] if share % given["micro_batch"] == 0 else []
    sizes = [share]
    for rows in range(share - 1, 0, -1):
        if share % rows == 0 and rows <= sizes[-1] / 2:
            sizes.append(rows)
    return sizes
