"""`FileLock`: a file that the kernel locks; it is free as soon as its holder dies.

The lock is on the file, not on its name: whoever has locked a file that was deleted or replaced
meanwhile has locked nothing. So name and file are compared after locking, and at every `check`.
Some file systems lock on one node only (NFS with `local_lock`, Lustre with `localflock`): then two
nodes can hold one lock, and nothing here can tell.
"""

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.disk.disk_clock import now_of
from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass, class_of_os_error
from cluster.locks.heartbeat import Heartbeat
from cluster.locks.held import Held, LockLost, LockUnsure, Occupied
from cluster.locks.holder import UNKNOWN, Holder, fields_of

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
_TRIES = 5
_BETWEEN_TRIES_S = 0.05
_MOST_BYTES = 4096
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_open_here: set[int] = set()
"""Descriptors of locks that this process has open."""


class NoLocks(SurroundingsError):
    """The file system has no locks."""

    default_code = "root-without-locks"


class HeldFile(Held):
    """A locked file in hand."""

    def __init__(self, path: Path, descriptor: int, beat: Heartbeat, token: int) -> None:
        self.token = token
        self._path = path
        self._descriptor = descriptor
        self._beat = beat

    def check(self) -> None:
        """Return when the locked file still has its name."""
        self._beat.revive()
        try:
            is_ours = _is_named(self._path, self._descriptor)
        except OSError as error:
            raise LockUnsure(
                f"the lock cannot be looked at: {error.strerror}",
                where=str(self._path),
                fault_class=class_of_os_error(error),
            ) from error
        if not is_ours:
            raise LockLost(
                "the lock's file was deleted or replaced, so another launch may hold a new one",
                where=str(self._path),
                hint="leave the file alone while a launch is running; launch again",
            )


@dataclass(frozen=True)
class FileLock:
    """The lock that is a file of this path, on a file system of this machine."""

    path: Path
    """Where the file lies; it is made when it is locked first, and stays."""
    show_life_every_s: float = 10.0
    """Seconds between two signs of life of a holder: it touches the file."""

    @contextlib.contextmanager
    def hold(
        self, holder: Holder | None = None, *, shared: bool = False, above: int = 0
    ) -> Iterator[HeldFile]:
        """Hold the lock while the block runs, alone or with all who share it.

        Args:
            holder: who is written into the file for others to read; None for nobody.
            shared: hold it together with others who share it.
            above: tokens up to this one were in use, whatever the file says.

        Raises:
            Occupied: somebody else holds it; says who, and for how long it has been silent.
            NoLocks: the file system has no locks.
            SurroundingsError: the file may not or cannot be opened.
        """
        with self._locked(shared=shared) as descriptor:
            token = max(_read_token(descriptor), above) + 1 if holder else 0
            if holder:
                _write(descriptor, {"token": token, **holder.as_json()})
            beat = Heartbeat(lambda: os.utime(descriptor), self.show_life_every_s)
            try:
                with contextlib.suppress(OSError):
                    os.utime(descriptor)
                yield HeldFile(self.path, descriptor, beat, token)
            finally:
                beat.stop()
                if holder:
                    _write(descriptor, {"token": token})

    @contextlib.contextmanager
    def kept(self, *, silent_for_s: float) -> Iterator[bool]:
        """Keep others from the lock while the block runs, and yield whether nobody holds it.

        Changes nothing: where there is no file nobody holds it, and nobody is kept from it.

        Args:
            silent_for_s: where the file system has no locks, a file that was not touched for so
                long counts as free.
        """
        with contextlib.ExitStack() as opened:
            is_free = True
            try:
                descriptor = opened.enter_context(self._opened_to_keep())
                is_free = _try_lock(self.path, descriptor, shared=False) and _is_named(
                    self.path, descriptor
                )
            except FileNotFoundError:
                pass
            except NoLocks:
                is_free = time.time() - os.fstat(descriptor).st_mtime >= silent_for_s
            yield is_free

    @contextlib.contextmanager
    def _opened_to_keep(self) -> Iterator[int]:
        """Open for writing where that is allowed: NFS locks no other file for one alone."""
        with contextlib.ExitStack() as opened:
            try:
                descriptor = opened.enter_context(_opened(self.path, os.O_RDWR))
            except SurroundingsError as fault:
                if fault.fault_class not in (FaultClass.PERMISSION, FaultClass.STORAGE_READ_ONLY):
                    raise
                descriptor = opened.enter_context(_opened(self.path, os.O_RDONLY))
            yield descriptor

    def holder(self) -> Holder | None:
        """Return who holds the lock now; None when nobody does. Changes nothing.

        Where the file system has no locks, only a holder on a machine where it has is one.
        """
        unnamed: Holder | None = UNKNOWN
        try:
            with _opened(self.path, os.O_RDONLY) as descriptor:
                try:
                    # Shared, so that two who only look do not take each other for a holder.
                    if _try_lock(self.path, descriptor, shared=True):
                        return None
                except NoLocks:
                    unnamed = None
                holder = Holder.parse(fields_of(_read(descriptor))) or unnamed
                if holder is None:
                    return None
                now = now_of(self.path.parent) or time.time()
                silent_s = max(0.0, now - os.fstat(descriptor).st_mtime)
                return replace(holder, silent_s=silent_s)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def _locked(self, *, shared: bool) -> Iterator[int]:
        """Open and lock the file; several tries, for one who looks holds it for an instant."""
        for number in range(_TRIES):
            if number:
                time.sleep(_BETWEEN_TRIES_S)
            with _opened(self.path, os.O_RDWR | os.O_CREAT) as descriptor:
                if not _try_lock(self.path, descriptor, shared=shared):
                    if number < _TRIES - 1:
                        continue
                    holder = Holder.parse(fields_of(_read(descriptor))) or UNKNOWN
                    raise Occupied(holder, _silence(descriptor, self.path.parent))
                if _is_named(self.path, descriptor):
                    yield descriptor
                    return
        raise SurroundingsError(
            "the lock's file is deleted or replaced again and again", where=str(self.path)
        )


def _is_named(path: Path, descriptor: int) -> bool:
    """Return whether an open file is the one that a path names now."""
    try:
        named = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    opened = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    try:
        try:
            descriptor = os.open(path, flags | _FLAGS, 0o666)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, flags | _FLAGS, 0o666)
    except FileNotFoundError:
        raise
    except OSError as error:
        denied = "the lock may not be opened: permission denied"
        raise SurroundingsError(
            denied if error.errno == errno.EACCES else f"cannot open the lock: {error.strerror}",
            where=str(path),
            fault_class=class_of_os_error(error),
        ) from error
    _open_here.add(descriptor)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SurroundingsError(
                "the lock is no file", where=str(path), hint="delete what lies in its place"
            )
        yield descriptor
    finally:
        if descriptor in _open_here:  # not so in a fork, where it was closed and may be another's
            _open_here.discard(descriptor)
            with contextlib.suppress(OSError):  # it is closed also where the answer is a fault
                os.close(descriptor)  # which frees the lock, as the death of this process would


def _close_inherited() -> None:
    """Close the locks of a parent in its fork: a child that outlives it would hold them on."""
    for descriptor in list(_open_here):
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _open_here.clear()


os.register_at_fork(after_in_child=_close_inherited)


def _try_lock(path: Path, descriptor: int, *, shared: bool) -> bool:
    """Lock an open file; False when somebody else holds the lock."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise NoLocks(
                f"the file system has no locks: {error.strerror}", where=str(path)
            ) from error
        raise SurroundingsError(
            f"cannot lock: {error.strerror}",
            where=str(path),
            fault_class=class_of_os_error(error),
        ) from error
    return True


def _silence(descriptor: int, folder: Path) -> float:
    """Return the seconds since a lock's file was touched, both by the file system's own clock."""
    now = now_of(folder)
    if now is None:
        return 0.0  # nothing is known: whoever holds it counts as alive
    return now - os.fstat(descriptor).st_mtime


def _read(descriptor: int) -> bytes:
    try:
        return os.pread(descriptor, _MOST_BYTES, 0)
    except OSError:
        return b""


def _read_token(descriptor: int) -> int:
    token = fields_of(_read(descriptor)).get("token")
    return token if type(token) is int and 0 <= token < 1 << 53 else 0


def _write(descriptor: int, values: dict[str, object]) -> None:
    """Write into a locked file, in one call; a full disk leaves it without its holder's name."""
    data = json.dumps(values).encode()
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
