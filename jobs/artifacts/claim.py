"""The claim on a job: of two launches or studies on one root that share a job, one computes it.

Attempts of a job that several workers may share hold its claim together, and keep all others out.
A claim only saves work. What keeps results apart is that a record is published create-only, so a
claim is ignored wherever it cannot be trusted: on remote roots, on file systems without locks, and
when its holder has shown no sign of life for a minute.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from functools import partial

from cluster.locks import heartbeat, open_lock_file, try_lock
from jobs.artifacts.artifact import Artifact

_BEAT_EVERY_S = 10.0
_STALE_AFTER_S = 60.0


class Busy(Exception):
    """Another live attempt holds the claim."""


@contextlib.contextmanager
def claimed(artifact: Artifact, *, shared: bool = False) -> Iterator[None]:
    """Hold the claim on a job while the block runs, alone or with others that share the job.

    Raises:
        Busy: another attempt holds the claim, and does not share it or may not.
    """
    if not artifact.storage.is_local:
        yield
        return
    with open_lock_file(artifact.storage.path(f"{artifact.folder}/claim")) as descriptor:
        if not _lock(descriptor, shared=shared):
            yield
            return
        show_life = partial(os.utime, descriptor)
        show_life()
        with heartbeat(show_life, _BEAT_EVERY_S):
            yield


def _lock(descriptor: int, *, shared: bool) -> bool:
    """Return True when this attempt holds the lock, False when it goes on without one."""
    try:
        if try_lock(descriptor, shared=shared):
            return True
    except OSError:
        return False  # this file system has no locks
    if time.time() - os.fstat(descriptor).st_mtime < _STALE_AFTER_S:
        raise Busy
    return False
