"""The second witness of a death: a process that was killed says nothing, others may.

SIGKILL, or exit code 137, is what the kernel's killer, a scheduler, a neighbour and a person all
use: by itself it tells nothing. What the keeper of the log saw beside it does
(`jobs/worker/last_witness.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from cluster.checked_json import read_as
from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from jobs.worker.last_witness import witness_name

_SHAPE = TypeAdapter(dict[str, Any])
_GROUP, _HOST = "cgroup-out-of-memory", "host-killed-for-memory"
"""Names of the signatures that say what to do."""


@dataclass(frozen=True, kw_only=True)
class Testimony:
    """What others than a process say of its death."""

    sentences: Sequence[str] = ()
    """In words, with numbers."""
    kernel: Sequence[str] = ()
    """What the kernel wrote about it, line by line."""
    fault_class: FaultClass | None = None
    """Whose fault it is; None where they say nothing of that."""
    signature: str | None = None
    """Signature that says what to do about it."""
    memory: Mapping[str, float] | None = None
    """Memory of the host right after the death, in 10^9 bytes."""
    others: Sequence[Mapping[str, Any]] = ()
    """The largest other processes then."""


def read_testimony(storage: Storage, log: str, own_gb: float | None) -> Testimony | None:
    """Read what was seen of a rank's death; None where nobody saw it.

    Args:
        storage: the root.
        log: the rank's log, relative to the root.
        own_gb: memory that it last said it held, in 10^9 bytes; None where it did not.

    Raises:
        SurroundingsError: the storage does not answer.
    """
    try:
        seen = read_as(storage, witness_name(log), _SHAPE)
    except ValueError:
        return None
    return None if seen is None else judge(seen, own_gb)


def judge(seen: Mapping[str, Any], own_gb: float | None) -> Testimony:
    """Say whose fault a death is, from what was seen of it.

    The kernel kills the process that it wins most by, whoever filled the memory: a larger process
    beside it is at fault, else the job is. Where a memory group was full, what lies outside of it
    has filled nothing.
    """
    kills = seen.get("oom_kills") or {}
    others = [one for one in seen.get("others") or [] if isinstance(one, dict)]
    kernel = [str(line) for line in seen.get("kernel") or []]
    about = Testimony(kernel=kernel, memory=seen.get("memory") or None, others=others)
    in_group, on_host = kills.get("group", 0) > 0, kills.get("host", 0) > 0
    is_killed = any("Killed process" in line for line in kernel)
    if not (in_group or on_host or is_killed):
        looked = {"group": "its memory group", "host": "its host"}
        where = " and ".join(text for name, text in looked.items() if name in kills)
        none = [f"none of its death: the kernel killed nobody of {where} for want of memory then"]
        return replace(about, sentences=none if where else ())
    beside = [one for one in others if not in_group or one.get("in_group", True)]
    most = beside[0] if beside else None
    largest_gb = float(most.get("gb", 0.0)) if most else 0.0
    is_of_others = own_gb is not None and largest_gb > own_gb
    who = "its memory group" if in_group else "its host"
    number = kills.get("group" if in_group else "host", 1) or 1
    text = f"the kernel killed {number} of {who} for want of memory when it died"
    text += f"; it held {own_gb:.1f} GB at its last heartbeat" if own_gb is not None else ""
    if most is not None:
        text += f"; the largest other process holds {largest_gb:.1f} GB: {most.get('name')}"
    return Testimony(
        sentences=[text],
        kernel=kernel,
        fault_class=FaultClass.HOST_MEMORY if is_of_others else FaultClass.OUT_OF_MEMORY,
        signature=_GROUP if in_group and not is_of_others else _HOST,
        memory=about.memory,
        others=others,
    )
