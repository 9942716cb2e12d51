"""The ranks of one training run: which one this is, and how all of them agree.

With one rank nothing here imports or calls torch. With more, torch's process group stands already.
"""

import os
from datetime import timedelta
from functools import lru_cache
from typing import Any

_SHORT = timedelta(minutes=15)
"""Between steps: more than a batch may take, so that a rank whose data hang says so itself."""
_LONG = timedelta(hours=6)
"""Around loading and saving: 280 GB at 15 MB/s. The death of a rank is noticed at once."""


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
    """Wait until all ranks are here, however long one of them loads or saves."""
    gathered(None, may_take_long=True)


def any_of(flag: bool) -> bool:
    """Whether any rank says so; the same answer on all of them, which all must ask."""
    return any(gathered(flag))


def gathered(value: Any, *, may_take_long: bool = False) -> list[Any]:
    """What every rank gives, by rank; the same on all of them, which all must call it.

    `may_take_long`: whether one of them may come late for good reason.
    """
    if num_ranks() == 1:
        return [value]
    import torch.distributed as dist

    found: list[Any] = [None] * num_ranks()
    dist.all_gather_object(found, value, group=group(may_take_long=may_take_long))
    return found


def group(*, may_take_long: bool) -> Any:
    """The ranks as they agree on what they do, apart from tensors; all must ask for it together.

    Between processors: through GPUs every word would wait for the computation before it.
    """
    import torch.distributed as dist

    assert dist.is_initialized(), f"{num_ranks()} ranks without a process group"
    return _group(dist.group.WORLD, _LONG if may_take_long else _SHORT)


@lru_cache(maxsize=2)
def _group(world: Any, timeout: timedelta) -> Any:
    """One for the process group that stands: a process may see several."""
    import torch.distributed as dist

    return dist.new_group(backend="gloo", timeout=timeout)


def give_all(tensor: Any, source: int) -> None:
    """Every rank gets what one of them has in a tensor; all ranks must call it."""
    if num_ranks() > 1:
        import torch.distributed as dist

        dist.broadcast(tensor.detach(), src=source)
