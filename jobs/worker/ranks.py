"""The ranks of one training run: which one this is, and how all of them agree.

With one rank nothing here imports or calls torch. With more, torch's process group exists already.
"""

import os
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch
    from torch.distributed import ProcessGroup

T = TypeVar("T")

_SHORT = timedelta(minutes=15)
"""Between steps: more than a batch may take, so that a rank whose data hang says so itself."""
_LONG = timedelta(hours=6)
"""Around loading and saving: 280 GB at 15 MB/s. The death of a rank is noticed at once."""


def num_ranks() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """Return the number of this process among those on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_first() -> bool:
    """Tell whether this process writes what is written once."""
    return rank() == 0


def barrier() -> None:
    """Wait until all ranks are here, however long one of them loads or saves."""
    gathered(None, may_take_long=True)


def any_of(flag: bool) -> bool:
    """Tell on all ranks whether any of them gives True; each of them must call this."""
    return any(gathered(flag))


def gathered(value: T, *, may_take_long: bool = False) -> list[T]:
    """Return on all ranks what each of them gives, by rank; each of them must call this.

    `may_take_long`: whether one of them may come late for good reason.
    """
    if num_ranks() == 1:
        return [value]
    import torch.distributed as dist

    values: list[T] = [value] * num_ranks()
    dist.all_gather_object(values, value, group=group(may_take_long=may_take_long))
    return values


def group(*, may_take_long: bool) -> "ProcessGroup":
    """Return the ranks as a group that agrees on what to do; all must ask for it together.

    Between processors: through GPUs every word would wait for the computation before it.
    """
    import torch.distributed as dist

    assert dist.is_initialized(), f"{num_ranks()} ranks without a process group"
    return _group(dist.group.WORLD, _LONG if may_take_long else _SHORT)


@lru_cache(maxsize=2)
def _group(world: object, timeout: timedelta) -> "ProcessGroup":
    """Make one group for each process group (`world`) that a process sees in its life."""
    import torch.distributed as dist

    group: ProcessGroup = dist.new_group(backend="gloo", timeout=timeout)
    return group


def give_all(tensor: "torch.Tensor", source: int) -> None:
    """Copy into a tensor on every rank what rank `source` has in it; all must call this."""
    if num_ranks() > 1:
        import torch.distributed as dist

        dist.broadcast(tensor.detach(), src=source)
