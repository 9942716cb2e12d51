"""`DiskSpace`: how much a launch may write, and how much is free on its root; for messages only."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster.storage import Storage
from orchestrator.plan.decisions import RUNS, JobDecision
from orchestrator.text import gigabytes, pluralize


@dataclass(frozen=True, kw_only=True)
class DiskSpace:
    """Bytes that the jobs to run may write, and bytes that are free."""

    most_bytes: int
    """Most bytes that jobs of known size may write."""
    num_unknown: int
    """Number of jobs whose size is not known yet."""
    free_bytes: int | None
    """Bytes free on the file system of a local root; None for a remote root."""

    @property
    def summary(self) -> str:
        """One line: `up to 12.3 GB, size of 4 jobs not known yet; 401.2 GB free`."""
        jobs = pluralize(self.num_unknown, "job")
        open_sizes = f"size of {jobs} not known yet" if self.num_unknown else ""
        most = f"up to {gigabytes(self.most_bytes)}" if self.most_bytes else ""
        free = "" if self.free_bytes is None else f"; {gigabytes(self.free_bytes)} free"
        return (", ".join(filter(None, (most, open_sizes))) or "nothing") + free

    @property
    def warning(self) -> str | None:
        """Warning that the jobs may not fit; None when they do, or nothing is known."""
        if self.free_bytes is None or self.most_bytes <= self.free_bytes:
            return None
        return (
            f"may not fit: up to {gigabytes(self.most_bytes)} to write, "
            f"{gigabytes(self.free_bytes)} free on the root"
        )


def measure_disk_space(root: Storage, decisions: Iterable[JobDecision]) -> DiskSpace:
    """Add up what the jobs to run may write, jobs of one key once, and look at the root."""
    most_bytes, num_unknown = add_up_sizes(decisions)
    return DiskSpace(most_bytes=most_bytes, num_unknown=num_unknown, free_bytes=free_bytes(root))


def add_up_sizes(decisions: Iterable[JobDecision]) -> tuple[int, int]:
    """Return the most bytes that the jobs to run may write, and how many give no size."""
    sizes = {item.job.key: item.most_bytes for item in decisions if item.decision in RUNS}
    estimates = [size for size in sizes.values() if size is not None]
    return sum(estimates), len(sizes) - len(estimates)


def free_bytes(root: Storage) -> int | None:
    """Return the bytes free on the disk of a local root; None for a remote one."""
    if not root.is_local:
        return None
    folder = Path(root.url)
    while not folder.is_dir():
        folder = folder.parent  # the first launch creates the root
    return shutil.disk_usage(folder).free
