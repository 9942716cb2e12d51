"""Whether what a launch may write has room on its root. It is told, and decides nothing."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster.storage import Storage
from orchestrator.plan.decisions import RUNS, JobDecision


@dataclass(frozen=True, kw_only=True)
class Room:
    """What jobs that are not done may write, and what is free."""

    most_bytes: int
    """Most bytes of the jobs that can tell."""
    num_unknown: int
    """Jobs that cannot."""
    free_bytes: int | None
    """What the file system of a local root has left; None for a remote root."""

    @property
    def told(self) -> str:
        """One line: `up to 12.3 GB, and 4 jobs cannot tell yet; 401.2 GB free`."""
        unknown = f"{self.num_unknown} jobs cannot tell yet" if self.num_unknown else ""
        known = f"up to {gigabytes(self.most_bytes)}" if self.most_bytes else ""
        free = "" if self.free_bytes is None else f"; {gigabytes(self.free_bytes)} free"
        return (", and ".join(filter(None, (known, unknown))) or "nothing") + free

    @property
    def warning(self) -> str | None:
        """What to tell when it may not fit; None while nothing says so."""
        if self.free_bytes is None or self.most_bytes <= self.free_bytes:
            return None
        return (
            f"may not fit: up to {gigabytes(self.most_bytes)} to write, "
            f"{gigabytes(self.free_bytes)} free on the root"
        )


def room(root: Storage, explained: Iterable[JobDecision]) -> Room:
    """Look at the root, and add up; jobs of one key count once."""
    to_run = {each.job.key: each.most_bytes for each in explained if each.decision in RUNS}
    known = [size for size in to_run.values() if size is not None]
    return Room(
        most_bytes=sum(known),
        num_unknown=len(to_run) - len(known),
        free_bytes=_free_bytes(root),
    )


def gigabytes(number: int) -> str:
    """`12.3 GB`, in 10^9 bytes; small ones in MB."""
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.1f} MB"


def _free_bytes(root: Storage) -> int | None:
    if not root.is_local:
        return None
    folder = Path(root.url)
    while not folder.is_dir():
        folder = folder.parent  # a root is made by its first launch
    return shutil.disk_usage(folder).free
