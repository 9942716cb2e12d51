"""The ranks of one training run: which one this is, and how all of them agree.

With one rank nothing here imports or calls torch. With more, torch's process group stands already.
"""

import os
from typing import Any


def num_ranks() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this one, from 0."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """The number of this one among those on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_first() -> bool:
    """Whether this one writes what is written once."""
    return rank() == 0


def barrier() -> None:
    """Wait until all ranks are here."""
    if num_ranks() > 1:
        import torch.distributed as dist

        dist.barrier()


def any_of(flag: bool) -> bool:
    """Whether any rank says so; the same answer on all of them, which all must ask."""
    return any(gathered(flag))


def gathered(value: Any) -> list[Any]:
    """What every rank gives, by rank; the same on all of them, which all must call it."""
    if num_ranks() == 1:
        return [value]
    import torch.distributed as dist

    found: list[Any] = [None] * num_ranks()
    dist.all_gather_object(found, value)
    return found


def give_all(tensor: Any, source: int) -> None:
    """Every rank gets what one of them has in a tensor; all ranks must call it."""
    if num_ranks() > 1:
        import torch.distributed as dist

        dist.broadcast(tensor.detach(), src=source)
