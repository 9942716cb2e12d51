"""Which jobs have a valid record when they are about to start; invalid records are deleted."""

from collections.abc import Iterable
from contextlib import suppress

from cluster.locks.held import Held
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.claim import Busy, claimed
from jobs.artifacts.job import Job


class RecordChecks:
    """Checks records, and remembers the stale ones as they were when the launch began."""

    def __init__(self, storage: Storage, stale: Iterable[Job], held: Held) -> None:
        self._storage = storage
        self._held = held
        self._stale = {job.key: self._artifact(job).record_bytes() for job in stale}

    def is_done(self, job: Job) -> bool:
        """Return True when a job has a valid record and all its files; delete a bad or stale one.

        One whose files were let go stays until it is made again. A stale job that another launch
        made again since this one began is done.
        """
        artifact = self._artifact(job)
        present = artifact.record_bytes()
        if present is None:
            return False
        valid = artifact.record_in(present)
        if self._stale.get(job.key) != present and valid is not None:
            return valid[0].let_go is None
        # Another worker may hold the claim, and publish at any moment: then leave the record.
        with suppress(Busy), claimed(artifact):
            self._held.confirm()
            artifact.retire(present)
        return False

    def winner(self, job: Job) -> str | None:
        """Return the attempt that published the job's record; None where not all its files are."""
        record = self.record(job)
        return None if record is None or record.let_go is not None else record.attempt

    def fresh_winner(self, job: Job) -> str | None:
        """Return the attempt that published a valid record since the launch began, or before.

        None without one, where its files were let go, and for a record that this launch was told to
        make again.
        """
        artifact = self._artifact(job)
        present = artifact.record_bytes()
        if present is None or self._stale.get(job.key) == present:
            return None
        valid = artifact.record_in(present)
        return None if valid is None or valid[0].let_go is not None else valid[0].attempt

    def record(self, job: Job) -> Record | None:
        """Return the job's record, stale or not; None without a valid one."""
        record_and_digest = self._artifact(job).find_record()
        return None if record_and_digest is None else record_and_digest[0]

    def _artifact(self, job: Job) -> Artifact:
        return Artifact(self._storage, job.kind, job.key)
