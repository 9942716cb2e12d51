"""The study lock: one launch of a study at a time under one root.

On a local root a locked file, which the kernel frees when its holder dies: the next launch takes
it without asking. On a remote root a lease. Both name their holder.
"""

import contextlib
import os
import time
from collections.abc import Iterator

from cluster.errors import SurroundingsError
from cluster.locks import Holder, Lease, Occupied, read_holder, try_lock, write_holder
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
    holder = Holder.this_process(launch)
    try:
        if storage.is_local:
            held = _hold_file(storage, study, holder)
        else:
            held = Lease(storage, lock_name(study)).hold(holder, takeover=takeover)
        with held:
            yield
    except Occupied as fault:
        raise _held_error(storage, study, fault.holder) from None


def current_holder(storage: Storage, study: str) -> Holder | None:
    """Return who holds the lock now; None when nobody alive does."""
    if not storage.is_local:
        return Lease(storage, lock_name(study)).holder()
    try:
        descriptor = os.open(storage.path(lock_name(study)), os.O_RDONLY)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise _permission_error(storage, study) from error
    try:
        # Shared, so that two commands that only look do not take each other for a launch.
        is_free = try_lock(descriptor, shared=True)
    except OSError:
        is_free = False
    try:
        return None if is_free else read_holder(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _hold_file(storage: Storage, study: str, holder: Holder) -> Iterator[None]:
    path = storage.path(lock_name(study))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError as error:
        raise _permission_error(storage, study) from error
    try:
        _lock(descriptor, storage.url)
        write_holder(descriptor, holder)
        yield
        write_holder(descriptor, None)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, where: str) -> None:
    """Try several times, because a command that only looks holds the lock for an instant."""
    try:
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_BETWEEN_TRIES_S)
            if try_lock(descriptor):
                return
    except OSError as error:
        raise SurroundingsError(
            f"the file system of the output root has no locks: {error.strerror}",
            where=where,
            hint="choose a root on another file system with --root",
        ) from error
    raise Occupied(read_holder(descriptor))


def _held_error(storage: Storage, study: str, holder: Holder | None) -> SurroundingsError:
    takeover = "" if storage.is_local else ", or take over with `--takeover` if that launch is gone"
    return SurroundingsError(
        f"another launch of {study!r} is running: {holder or 'its process is not known yet'}",
        where=storage.url,
        hint=f"wait for it, watch it with `deltascale status {study}`, "
        f"or end it with `deltascale cancel {study}`{takeover}",
    )


def _permission_error(storage: Storage, study: str) -> SurroundingsError:
    return SurroundingsError(
        f"the lock of study {study!r} may not be opened: permission denied",
        where=f"{storage.url}/{lock_name(study)}",
    )
