"""`Gang`: the ranks of one job outside of training: they begin together and end together.

Torch's process group stands before a job of several ranks begins. What is agreed here may take
long: one rank publishes while the others wait for it.
"""

from typing import TYPE_CHECKING, TypeVar

from cluster.executor import Surroundings
from jobs.worker import ranks

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

T = TypeVar("T")


class Gang:
    """The processes that do one job together; one alone agrees with itself, without torch."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._group: ProcessGroup | None = None
        if surroundings.num_ranks > 1:
            self._group = _patient_group(surroundings)

    def __str__(self) -> str:
        """Return words for the first line of a log; none where one process is alone."""
        here = self._surroundings
        if here.num_ranks == 1:
            return ""
        return f", rank {here.rank} of {here.num_ranks} on {here.node}"

    def of_first(self, value: T) -> T:
        """Return on all ranks what the first one gives; each of them must call this."""
        if self._group is None:
            return value
        import torch.distributed as dist

        values = [value]
        dist.broadcast_object_list(values, src=0, group=self._group)
        return values[0]


def _patient_group(surroundings: Surroundings) -> "ProcessGroup":
    import torch.distributed as dist

    assert dist.is_initialized(), f"{surroundings.num_ranks} ranks without a process group"
    stands = (dist.get_rank(), dist.get_world_size())
    assert stands == (surroundings.rank, surroundings.num_ranks), (stands, surroundings)
    assert stands == (ranks.rank(), ranks.num_ranks()), (stands, "RANK and WORLD_SIZE differ")
    return ranks.group(may_take_long=True)
