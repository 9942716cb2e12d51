"""`Gang`: the ranks of one job outside of training: they begin together and end together.

Torch's process group stands before a job of several ranks begins. What is agreed here may take
long: one rank publishes while the others wait for it.
"""

from typing import Any

from cluster.executor import Surroundings
from jobs.worker import ranks


class Gang:
    """The processes that do one job together; one alone agrees with itself, without torch."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._group: Any = None
        if surroundings.num_ranks > 1:
            self._group = _patient_group(surroundings)

    def __str__(self) -> str:
        """For the first line of a log; nothing where one process is alone."""
        here = self._surroundings
        if here.num_ranks == 1:
            return ""
        return f", rank {here.rank} of {here.num_ranks} on {here.node}"

    def of_first(self, value: Any) -> Any:
        """What the first rank gives, on all of them, which all must ask."""
        if self._group is None:
            return value
        import torch.distributed as dist

        found = [value]
        dist.broadcast_object_list(found, src=0, group=self._group)
        return found[0]


def _patient_group(surroundings: Surroundings) -> Any:
    import torch.distributed as dist

    assert dist.is_initialized(), f"{surroundings.num_ranks} ranks without a process group"
    stands = (dist.get_rank(), dist.get_world_size())
    assert stands == (surroundings.rank, surroundings.num_ranks), (stands, surroundings)
    assert stands == (ranks.rank(), ranks.num_ranks()), (stands, "RANK and WORLD_SIZE differ")
    return ranks.group(may_take_long=True)
