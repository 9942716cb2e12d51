"""Is it a source that cannot be read, or the disk that it lies on? Only the first is a mistake.

A server that restarts, a bad cable or too many open files say nothing about a file: who reads it a
minute later finds it whole. So none of them is told as a broken download, and jobs wait for them.
"""

import os
from pathlib import Path

from cluster.disk.disk_faults import fault_of
from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from jobs.worker.whose_fault import number_of

_OF_A_SOURCE = frozenset({FaultClass.MISTAKE, FaultClass.PERMISSION, FaultClass.UNKNOWN})
"""Classes of errors by which a disk answers for the source: not there, not yours, no such name."""


def fault_of_disk(path: str | os.PathLike[str], error: Exception) -> SurroundingsError | None:
    """Make the fault for a source that its disk does not give now; None where the source is wrong.

    Args:
        path: the source.
        error: what Python or a library raised when it was read.
    """
    number = number_of(error)
    if number is None:
        return None
    place = Path(os.fspath(path))
    of_disk = OSError(number, os.strerror(number))
    fault = fault_of(of_disk, str(place.parent), f"read {place.name}")
    return None if fault.fault_class in _OF_A_SOURCE else fault
