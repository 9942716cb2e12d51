"""The claim on a job: of two launches or studies on one root that share it, one computes it.

Attempts of a job that several workers may share hold it together, and keep all others out.
Only a saving of work. What keeps results apart is that a record is published create-only, so a
claim is left aside wherever it cannot be trusted: on remote roots, on file systems without locks,
and when its holder has shown no sign of life for a minute.
"""

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator

from jobs.artifacts.artifact import Artifact

_BEAT_EVERY_S = 10.0
_STALE_AFTER_S = 60.0


class Busy(Exception):
    """Another live attempt holds the claim."""


@contextlib.contextmanager
def claimed(artifact: Artifact, *, shared: bool = False) -> Iterator[None]:
    """Hold the claim on a job while the block runs, alone or with others that share it.

    Raises:
        Busy: somebody else holds it, and not both of us would share.
    """
    if not artifact.storage.is_local:
        yield
        return
    path = artifact.storage.path(f"{artifact.folder}/claim")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _lock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            yield
            return
        with _beating(descriptor):
            yield
    finally:
        os.close(descriptor)  # which frees the lock, as the death of this process would


def _lock(descriptor: int, how: int) -> bool:
    """True when the lock is ours, False when we go on without one."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as fault:
        if fault.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            return False  # this file system has no locks
        if time.time() - os.fstat(descriptor).st_mtime < _STALE_AFTER_S:
            raise Busy from fault
        return False
    return True


@contextlib.contextmanager
def _beating(descriptor: int) -> Iterator[None]:
    """Touch the claim now and then, so that others see that its holder lives."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT_EVERY_S):
            os.utime(descriptor)

    os.utime(descriptor)
    thread = threading.Thread(target=beat, name="claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
