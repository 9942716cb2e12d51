"""The study lock: one launch of a study at a time under one root.

On a local root a locked file, which the kernel frees when its holder dies: the next launch takes
it without asking. On a remote root a lease. Both name their holder.
"""

import contextlib
from collections.abc import Iterator

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.locks.file_lock import FileLock, NoLocks
from cluster.locks.held import Held, Occupied
from cluster.locks.holder import Holder
from cluster.locks.lease import LeaseLock
from cluster.storage import Storage


def lock_name(study: str) -> str:
    """Return where a study's lock lies, relative to the root."""
    return f"studies/{study}/lock"


@contextlib.contextmanager
def study_lock(
    storage: Storage, study: str, launch: str, *, takeover: bool = False, above: int = 0
) -> Iterator[Held]:
    """Hold a study's lock while the block runs.

    Args:
        storage: The output root.
        study: Name of the study.
        launch: Id of the launch that takes the lock.
        takeover: Take a lease from a live holder (remote roots only).
        above: Token with which the study's files were written last.

    Returns:
        The lock in hand, to be asked before every write.

    Raises:
        SurroundingsError: another launch holds the lock, and the message names it; or this root
            cannot be locked.
    """
    insist = "" if storage.is_local else ", or take over with `--takeover` if it is gone"
    with _held(
        storage,
        _lock(storage, lock_name(study)),
        launch,
        takeover=takeover,
        above=above,
        what=f"another launch of {study!r} is running",
        hint=f"wait for it, watch it with `deltascale status {study}`, "
        f"or end it with `deltascale cancel {study}`{insist}",
    ) as held:
        yield held


@contextlib.contextmanager
def submission_lock(
    storage: Storage, study: str, launch: str, *, takeover: bool = False
) -> Iterator[Held]:
    """Hold the lock of those who hand a study to a queue: from a look at the queue to the ids.

    It is not the study's: a job may begin, and take that one, while others are still handed over.

    Args:
        storage: The output root.
        study: Name of the study.
        launch: Id of the submission.
        takeover: Take a lease from a live holder (remote roots only).

    Raises:
        SurroundingsError: the study is being handed over by another; or this root cannot be locked.
    """
    insist = "" if storage.is_local else ", or take over with `--takeover` if it is gone"
    with _held(
        storage,
        _lock(storage, f"studies/{study}/submission-lock"),
        launch,
        takeover=takeover,
        above=0,
        what=f"another launch is handing {study!r} to the queue",
        hint=f"wait for it{insist}; `deltascale status {study}` shows what it queued",
    ) as held:
        yield held


@contextlib.contextmanager
def _held(
    storage: Storage,
    lock: FileLock | LeaseLock,
    launch: str,
    *,
    takeover: bool,
    above: int,
    what: str,
    hint: str,
) -> Iterator[Held]:
    holder = Holder.this_process(launch)
    with contextlib.ExitStack() as locks:
        try:
            if isinstance(lock, LeaseLock):
                held: Held = locks.enter_context(lock.hold(holder, insist=takeover, above=above))
            else:
                held = locks.enter_context(lock.hold(holder, above=above))
        except NoLocks as fault:
            raise SurroundingsError(
                fault.error.replace("file system", "file system of the output root"),
                where=storage.url,
                hint="choose a root on another file system with --root",
                code="root-without-locks",
            ) from fault
        except Occupied as fault:
            raise SurroundingsError(
                f"{what}: {fault.holder or 'still starting'}",
                where=storage.url,
                hint=hint,
                fault_class=FaultClass.NO_ROOM,
                code="study-running",
            ) from None
        yield held


def current_holder(storage: Storage, study: str) -> Holder | None:
    """Return who holds the lock now, and for how long it has been silent; None: nobody alive."""
    return _lock(storage, lock_name(study)).holder()


def _lock(storage: Storage, name: str) -> FileLock | LeaseLock:
    return FileLock(storage.path(name)) if storage.is_local else LeaseLock(storage, name)
