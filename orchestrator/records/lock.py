"""The study lock: one launch of a study at a time under one root.

On a local root a locked file, which the kernel frees when its holder dies: the next launch takes
it without asking. On a remote root a lease. Both name their holder.
"""

import contextlib
import time
from collections.abc import Iterator

from cluster import locks
from cluster.errors import SurroundingsError
from cluster.storage import Storage

_TRIES = 5
_BETWEEN_TRIES_S = 0.05


def lock_name(study: str) -> str:
    """Return where a study's lock lies, relative to the root."""
    return f"studies/{study}/lock"


@contextlib.contextmanager
def study_lock(
    storage: Storage, study: str, launch: str, *, takeover: bool = False
) -> Iterator[None]:
    """Hold a study's lock while the block runs.

    Args:
        storage: The output root.
        study: Name of the study.
        launch: Id of the launch that takes the lock.
        takeover: Take a lease from a live holder (remote roots only).

    Raises:
        SurroundingsError: another launch holds the lock, and the message names it; or this root
            cannot be locked.
    """
    holder = locks.Holder.this_process(launch)
    if storage.is_local:
        held = _hold_file(storage, study, holder)
    else:
        held = locks.Lease(storage, lock_name(study)).hold(holder, takeover=takeover)
    try:
        with held:
            yield
    except locks.Occupied as fault:
        insist = "" if storage.is_local else ", or take over with `--takeover` if it is gone"
        raise SurroundingsError(
            f"another launch of {study!r} is running: {fault.holder or 'still starting'}",
            where=storage.url,
            hint=f"wait for it, watch it with `deltascale status {study}`, "
            f"or end it with `deltascale cancel {study}`{insist}",
        ) from None


def current_holder(storage: Storage, study: str) -> locks.Holder | None:
    """Return who holds the lock now; None when nobody alive does."""
    if not storage.is_local:
        return locks.Lease(storage, lock_name(study)).holder()
    try:
        with locks.open_lock_file(storage.path(lock_name(study)), create=False) as descriptor:
            try:
                # Shared, so that two commands that only look do not take each other for a launch.
                is_free = locks.try_lock(descriptor, shared=True)
            except OSError:
                is_free = False
            return None if is_free else locks.read_holder(descriptor)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _hold_file(storage: Storage, study: str, holder: locks.Holder) -> Iterator[None]:
    with locks.open_lock_file(storage.path(lock_name(study))) as descriptor:
        _lock(descriptor, storage.url)
        locks.write_holder(descriptor, holder)
        yield
        locks.write_holder(descriptor, None)


def _lock(descriptor: int, where: str) -> None:
    """Try several times, because a command that only looks holds the lock for an instant."""
    try:
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_BETWEEN_TRIES_S)
            if locks.try_lock(descriptor):
                return
    except OSError as error:
        raise SurroundingsError(
            f"the file system of the output root has no locks: {error.strerror}",
            where=where,
            hint="choose a root on another file system with --root",
        ) from error
    raise locks.Occupied(locks.read_holder(descriptor))
