"""Which records stand when their jobs are about to start, and the end of those that may not."""

from collections.abc import Iterable
from contextlib import suppress

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.claim import Busy, claimed
from jobs.artifacts.job import Job


class Standing:
    """Remembers the stale records of a launch as they were when it began."""

    def __init__(self, storage: Storage, stale: Iterable[Job]) -> None:
        self._storage = storage
        self._stale = {job.key: self._artifact(job).record_bytes() for job in stale}

    def is_done(self, job: Job) -> bool:
        """True when its record stands; a damaged one, and the one known as stale, is taken away.

        A stale job that another launch made again since this one looked is done.
        """
        artifact = self._artifact(job)
        seen = artifact.record_bytes()
        if seen is None:
            return False
        if self._stale.get(job.key) != seen and artifact.record_in(seen) is not None:
            return True
        # Whoever is at the job holds its claim, and may publish any moment: then leave it alone.
        with suppress(Busy), claimed(artifact):
            artifact.retire(seen)
        return False

    def winner(self, job: Job) -> str | None:
        """The attempt whose record stands, whatever it was made from; None without a valid one."""
        found = self.record(job)
        return None if found is None else found.attempt

    def record(self, job: Job) -> Record | None:
        """The record that stands, whatever it was made from; None without a valid one."""
        found = self._artifact(job).find_record()
        return None if found is None else found[0]

    def _artifact(self, job: Job) -> Artifact:
        return Artifact(self._storage, job.kind, job.key)
