"""The ladder: every layout that a training run may have, the cheapest first.

A rung is tried when the ones before it do not fit: smaller passes, then activations computed again,
then more of the model divided or moved to host memory, then more GPUs. Batches, their order and the
number of steps are the same on all of them.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cluster.machine.resources import Resources
from jobs.training.align_params import Params
from jobs.training.divisors import divisors
from jobs.training.layout import Layout
from jobs.training.objective import OBJECTIVES


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


def rungs(params: Params, machines: Sequence[Resources]) -> Iterator[Layout]:
    """Yield the layouts that the machines could hold by their number of GPUs, in order.

    Args:
        params: of the job; what they give of the layout is kept.
        machines: what each node offers.
    """
    for num_gpus, num_ranks in _sizes(params, machines):
        for num_nodes in _spreads(num_gpus, num_ranks, params, machines):
            for mode in _modes(num_gpus, num_ranks, params):
                for micro_batch in _micro_batches(params.global_batch // num_ranks, params):
                    yield Layout(
                        engine=mode.engine,
                        num_ranks=num_ranks,
                        num_nodes=num_nodes,
                        num_gpus=num_gpus,
                        micro_batch=micro_batch,
                        activation_checkpointing=mode.activation_checkpointing,
                        offload=mode.offload,
                    )


def _sizes(params: Params, machines: Sequence[Resources]) -> list[tuple[int, int]]:
    """Return (GPUs, ranks) to try, fewest first."""
    most, whole = int(sum(node.num_gpus for node in machines)), params.global_batch
    if params.num_gpus is not None:
        return [(params.num_gpus, params.num_ranks or params.num_gpus or 1)]
    if params.num_ranks is not None:
        return [(params.num_ranks if most >= params.num_ranks else 0, params.num_ranks)]
    if not most:
        return [(0, 1)]
    largest = 1 if _needs_whole_batch(params) else most
    return [(number, number) for number in divisors(whole) if number <= largest]


def _needs_whole_batch(params: Params) -> bool:
    return OBJECTIVES.find(params.objective).WHOLE_BATCH


def _spreads(
    num_gpus: int, num_ranks: int, params: Params, machines: Sequence[Resources]
) -> list[int]:
    """Return numbers of nodes that hold the ranks evenly: the fewest, or the one that is given."""
    if params.num_nodes is not None:
        return [params.num_nodes]
    for nodes in divisors(num_ranks):
        if nodes > len(machines):
            break
        ranks = num_ranks // nodes
        share = Resources(
            num_cpus=params.num_cpus * ranks,
            num_gpus=num_gpus // nodes,
            memory_gb=params.memory_gb * ranks,
        )
        if sum(share.fits(node) for node in machines) >= nodes:
            return [nodes]
    return [1]


def _modes(num_gpus: int, num_ranks: int, params: Params) -> list[_Mode]:
    """Return the modes to try in order: those that agree with what is given."""
    engine, again = params.engine, params.activation_checkpointing
    modes = _ON_PROCESSORS if not num_gpus else _ALONE if num_ranks == 1 else _TOGETHER
    agreeing = [
        mode
        for mode in modes
        if engine in (None, mode.engine)
        and again in (None, mode.activation_checkpointing)
        and params.offload in (None, mode.offload)
    ]
    if agreeing:
        return agreeing
    offload = bool(params.offload)
    if engine is None:
        return [_Mode("zero2" if offload else "ddp", bool(again), offload)]
    # An engine that nothing would have chosen here: with what is given, and computing again if not.
    return [_Mode(engine, kept, offload) for kept in ([False, True] if again is None else [again])]


def _micro_batches(share: int, params: Params) -> list[int]:
    """Return rows at a time, the most first, each at most half of the one before.

    Args:
        share: rows of one rank per optimizer step.
        params: of the job.
    """
    if _needs_whole_batch(params):
        return [share]
    if params.micro_batch is not None:
        return [params.micro_batch] if share % params.micro_batch == 0 else []
    sizes = [share]
    for rows in reversed(divisors(share)):
        if rows <= sizes[-1] / 2:
            sizes.append(rows)
    return sizes
