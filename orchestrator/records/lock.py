"""The study lock: one launch of a study at a time under one root.

On a local root `flock`, which the kernel frees when its holder dies, so a dead launch's lock is
taken without a word. Elsewhere a lease (`lease.py`). Both say who holds them.
"""

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from orchestrator.records.holder import Holder, held_elsewhere

_TRIES = 5
_BETWEEN_TRIES_S = 0.05
_HAS_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


def lock_name(study: str) -> str:
    """Where a study's lock lies, relative to the root."""
    return f"studies/{study}/lock"


@contextlib.contextmanager
def study_lock(
    storage: Storage, study: str, launch: str, *, takeover: bool = False
) -> Iterator[None]:
    """Hold a study's lock while the block runs.

    Args:
        storage: The output root.
        study: Name of the study.
        launch: Id of the launch that takes it.
        takeover: Take a lease from a live holder (remote roots only).

    Raises:
        SurroundingsError: another launch holds it, and the message names it; or this root cannot
            be locked.
    """
    if not storage.is_local:
        from orchestrator.records.lease import held_lease

        with held_lease(storage, lock_name(study), Holder.this_process(launch), takeover):
            yield
        return
    path = storage.path(lock_name(study))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError as error:
        raise _may_not(study, storage) from error
    try:
        if not _acquired(descriptor, storage.url):
            raise held_elsewhere(study, _read_holder(descriptor), storage.url)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(Holder.this_process(launch))).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def current_holder(storage: Storage, study: str) -> Holder | None:
    """Who holds the lock now; None when nobody alive does."""
    if not storage.is_local:
        from orchestrator.records.lease import lease_holder

        return lease_holder(storage, lock_name(study))
    try:
        descriptor = os.open(storage.path(lock_name(study)), os.O_RDONLY)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise _may_not(study, storage) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _read_holder(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _may_not(study: str, storage: Storage) -> SurroundingsError:
    return SurroundingsError(
        f"the lock of study {study!r} may not be opened: permission denied",
        where=f"{storage.url}/{lock_name(study)}",
    )


def _acquired(descriptor: int, where: str) -> bool:
    """Several tries, because somebody who only looks holds it for an instant."""
    for attempt in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt < _TRIES - 1:
                time.sleep(_BETWEEN_TRIES_S)
        except OSError as error:
            if error.errno not in _HAS_NO_LOCKS:
                raise
            raise SurroundingsError(
                f"the file system of the output root has no locks: {error.strerror}",
                where=where,
                hint="choose a root on another file system with --root",
            ) from error
        else:
            return True
    return False


def _read_holder(descriptor: int) -> Holder | None:
    try:
        return Holder(**json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):
        return None
