"""The claim on a job: of two launches or studies on one root that share a job, one computes it.

Attempts of a job that several workers may share hold its claim together, and keep all others out.
A claim only saves work. What keeps results apart is that a record is published create-only, so a
claim is ignored wherever it cannot be trusted: on remote roots, on file systems without locks, and
when its holder has shown no sign of life for a minute.
"""

import contextlib
from collections.abc import Iterator

from cluster.disk.disk_faults import ForeignEntry
from cluster.locks.file_lock import FileLock, NoLocks
from cluster.locks.held import Occupied
from jobs.artifacts.artifact import Artifact

_STALE_AFTER_S = 60.0


class Busy(Exception):
    """Another live attempt holds the claim."""


@contextlib.contextmanager
def claimed(artifact: Artifact, *, shared: bool = False) -> Iterator[None]:
    """Hold the claim on a job while the block runs, alone or with others that share the job.

    Raises:
        Busy: another attempt holds the claim, and does not share it or may not.
        SurroundingsError: the file of the claim cannot be opened.
    """
    with contextlib.ExitStack() as held:
        if artifact.storage.is_local:
            lock = FileLock(artifact.storage.path(f"{artifact.folder}/claim"))
            try:
                held.enter_context(lock.hold(shared=shared))
            except NoLocks:
                pass
            except Occupied as fault:
                if fault.silent_s < _STALE_AFTER_S:
                    raise Busy from None
        yield


@contextlib.contextmanager
def free_of_attempts(artifact: Artifact) -> Iterator[bool]:
    """Keep new attempts from a job while the block runs; yield False when one is at work already.

    Nothing is written: a job that was never claimed is free. Unlike an attempt, which may do work
    twice, this believes a lock whose holder is silent: it may only be stopped.
    """
    if not artifact.storage.is_local:
        yield True
        return
    try:
        lock = FileLock(artifact.storage.path(f"{artifact.folder}/claim"))
    except ForeignEntry:
        yield False
        return
    with lock.kept(silent_for_s=_STALE_AFTER_S) as is_free:
        yield is_free
