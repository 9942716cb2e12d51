"""What partitions a site has, and of which nodes: as sinfo says, without asking for any."""

import math
import re
from dataclasses import dataclass

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.slurm.commands import ask
from cluster.slurm.refusals import explain_refusal

_GPUS = re.compile(r"gpu(?::([^:,()]+))?:(\d+)")
"""GPUs of a node in sinfo's words: `gpu:8`, `gpu:a100:8(S:0-1)`."""
_TIME = re.compile(r"(?:(\d+)-)?(?:(?:(\d+):)?(\d+):)?(\d+)")


@dataclass(frozen=True, kw_only=True)
class PartitionNodes:
    """Equal nodes of a partition."""

    partition: str
    """Name of the partition."""
    is_default: bool
    """Whether jobs that name no partition go there."""
    most_s: float
    """The partition's time limit in seconds; infinite where it has none."""
    count: int
    """Number of nodes."""
    cpus: int
    """Processors of each."""
    memory_gb: float
    """Host memory of each in GB (10^9 bytes)."""
    gpus: int
    """GPUs of each, of all types."""
    gres: str
    """Generic resources of each, in SLURM's words."""


def partitions_of_site() -> list[PartitionNodes]:
    """Return the nodes of every partition that this user sees, whatever state they are in.

    Raises:
        SurroundingsError: this machine has no sinfo, or SLURM does not answer.
    """
    answer = ask("sinfo", "--noheader", "--exact", "--format=%P|%l|%D|%c|%m|%G")
    lines = answer.output.splitlines()
    if answer.code or not lines:
        raise SurroundingsError(
            explain_refusal(answer.errors), where="sinfo", fault_class=FaultClass.CLUSTER
        )
    return [nodes for line in lines if (nodes := _read(line)) is not None]


def _read(line: str) -> PartitionNodes | None:
    parts = [part.strip() for part in line.split("|")]
    if len(parts) != 6 or not all(re.match(r"\d+", part) for part in parts[2:5]):
        return None
    name, limit, count, cpus, megabytes, gres = parts
    return PartitionNodes(
        partition=name.removesuffix("*"),
        is_default=name.endswith("*"),
        most_s=_seconds(limit),
        count=int(count),
        cpus=int(cpus.rstrip("+")),
        memory_gb=int(megabytes.rstrip("+")) * 2**20 / 1e9,  # SLURM's megabyte
        gpus=sum(int(number) for _, number in _GPUS.findall(gres)),
        gres=gres,
    )


def _seconds(limit: str) -> float:
    """Return a limit such as `1-02:30:00` or `10:00` in seconds; other words: infinite."""
    match = _TIME.fullmatch(limit)
    if match is None:
        return math.inf
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60.0 + seconds
