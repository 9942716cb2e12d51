"""The ladder: every layout that a training run may have, the cheapest first.

A rung is tried when the ones before it do not fit: smaller passes, then activations computed again,
then more of the model divided or moved to host memory, then more GPUs. Batches, their order and the
number of steps are the same on all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cluster.resources import Resources
from jobs.training.layout import Layout

_ALONE = (
    ("ddp", False, False),
    ("ddp", True, False),
    ("zero2", True, True),
    ("zero3", True, True),
)
"""(engine, activation checkpointing, offload) on one GPU: dividing by one saves nothing."""
_TOGETHER = (
    ("ddp", False, False),
    ("ddp", True, False),
    ("zero1", True, False),
    ("zero2", True, False),
    ("zero3", True, False),
    ("zero2", True, True),
    ("zero3", True, True),
)
"""The same on several."""
_ON_PROCESSORS = (("ddp", False, False), ("ddp", True, False))
"""The same without a GPU: there is no other memory to move anything to."""


def rungs(
    global_batch: int,
    machines: Sequence[Resources],
    given: Mapping[str, Any],
    *,
    whole_batch: bool = False,
) -> Iterator[Layout]:
    """The layouts that the machines could hold by their number of GPUs, in order.

    Args:
        global_batch: rows per optimizer step.
        machines: what each node offers.
        given: fields of Layout that are decided already, by name.
        whole_batch: whether a forward pass has to hold the global batch.
    """
    for num_gpus, num_ranks in _sizes(global_batch, machines, given, whole_batch=whole_batch):
        share = global_batch // num_ranks
        for num_nodes in _spreads(num_gpus, num_ranks, machines, given):
            for engine, checkpointing, offload in _modes(num_gpus, num_ranks, given):
                for micro_batch in _micro_batches(share, given, whole_batch=whole_batch):
                    yield Layout(
                        engine=engine,
                        num_ranks=num_ranks,
                        num_nodes=num_nodes,
                        num_gpus=num_gpus,
                        micro_batch=micro_batch,
                        activation_checkpointing=checkpointing,
                        offload=offload,
                    )


def _sizes(
    global_batch: int,
    machines: Sequence[Resources],
    given: Mapping[str, Any],
    *,
    whole_batch: bool,
) -> list[tuple[int, int]]:
    """(GPUs, ranks), fewest first."""
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
    num_gpus: int, num_ranks: int, machines: Sequence[Resources], given: Mapping[str, Any]
) -> list[int]:
    """The numbers of nodes that hold the ranks evenly: the fewest, or the one that is given."""
    if "num_nodes" in given:
        return [given["num_nodes"]]
    for nodes in range(1, len(machines) + 1):
        if num_ranks % nodes == 0:
            on_each = num_gpus // nodes
            if sum(node.num_gpus >= on_each for node in machines) >= nodes:
                return [nodes]
    return [1]


def _modes(num_gpus: int, num_ranks: int, given: Mapping[str, Any]) -> list[tuple[str, bool, bool]]:
    known = _ON_PROCESSORS if not num_gpus else _ALONE if num_ranks == 1 else _TOGETHER
    names = ("engine", "activation_checkpointing", "offload")
    asked = {name: given[name] for name in names if name in given}
    fitting = [
        mode
        for mode in known
        if all(dict(zip(names, mode, strict=True))[name] == asked[name] for name in asked)
    ]
    if fitting or "engine" not in asked:
        return fitting or [(*_first(asked),)]
    # An engine that nothing would have chosen here: with what is given, and computing again if not.
    again = [asked["activation_checkpointing"]] if names[1] in asked else [False, True]
    return [(asked["engine"], each, asked.get("offload", False)) for each in again]


def _first(asked: Mapping[str, Any]) -> tuple[str, bool, bool]:
    """What is given, on the engine that can do it."""
    offload = asked.get("offload", False)
    again = asked.get("activation_checkpointing", False)
    return ("zero2" if offload else "ddp", again, offload)


def _micro_batches(share: int, given: Mapping[str, Any], *, whole_batch: bool) -> list[int]:
    """Rows at a time, the most first, each at most half of the one before."""
    if whole_batch:
        return [share]
    if "micro_batch" in given:
        return [given["micro_batch"]] if share % given["micro_batch"] == 0 else []
    found = [share]
    for rows in range(share - 1, 0, -1):
        if share % rows == 0 and rows <= found[-1] / 2:
            found.append(rows)
    return found
