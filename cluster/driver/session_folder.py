"""A private folder for what our own Ray writes while it runs: sockets, logs and its token.

The folder goes when its process ends in order; what killed processes left is swept at the next
start. A lock that the kernel frees with its holder says which folders still have one.
"""

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass

_LOCK = "lock"
_MOST_LETTERS = 37
"""Longest path of a session folder: Ray adds up to 70 for its sockets, the kernel takes 107."""
_TRIED_BYTES = 1 << 16
"""Bytes that are written to see whether a place has room at all."""
_ELSEWHERE = ("/tmp", "/var/tmp", "/dev/shm")


class SessionFolder:
    """A new folder of our own, which nobody else may enter, held until `remove`."""

    def __init__(self) -> None:
        """Make and lock the folder, in the temp folder or where else one can be had.

        Raises:
            SurroundingsError: none can be had: names are too long or taken, disks full or without
                locks.
        """
        self._lock: int | None
        tried = []
        for place in _places():
            try:
                self.path, self._lock = _made_in(place)
            except OSError as error:
                tried.append(f"{place}: {error.strerror or error}")
            else:
                return
        raise SurroundingsError(
            "no private folder can be made for Ray",
            where="; ".join(tried),
            hint="set TMPDIR to a short path that only you can write, as /tmp/me",
            fault_class=FaultClass.CLUSTER,
        )

    def write_private(self, name: str, text: str) -> Path:
        """Write a file that only its owner may read; return its path."""
        path = self.path / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        return path

    def remove(self) -> None:
        """Delete the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def sweep(base: Path) -> None:
    """Delete the folders whose holders have ended."""
    for folder in base.iterdir():
        if folder.is_symlink() or not folder.is_dir():
            continue
        lock = _locked(folder / _LOCK)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _places() -> list[str]:
    """List the folders to try, the temp folder first, where there is one."""
    with suppress(FileNotFoundError):
        return [tempfile.gettempdir(), *_ELSEWHERE]
    return [*_ELSEWHERE]


def _made_in(place: str) -> tuple[Path, int]:
    """Make a folder in this user's folder of such folders there, and hold its lock.

    Raises:
        OSError: it cannot be had there.
    """
    base = _base(Path(place) / f"dscale-{os.getuid()}")
    with _alone_in(base):
        sweep(base)
        path = base / secrets.token_hex(4)
        path.mkdir(mode=0o700)
        try:
            return path, _lock_of_new(path)
        except OSError:
            shutil.rmtree(path, ignore_errors=True)
            raise


def _base(folder: Path) -> Path:
    """Return a folder of this user, made or checked; raises OSError where it is none for us."""
    if len(str(folder)) + len("/") + 8 > _MOST_LETTERS:
        raise OSError("too long a name for Ray's sockets")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise OSError(f"{folder.name} belongs to somebody else")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


@contextmanager
def _alone_in(base: Path) -> Iterator[None]:
    """Keep other processes from sweeping or making folders while the block runs."""
    descriptor = os.open(base / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock_of_new(folder: Path) -> int:
    """Lock the file of a folder that nobody else can know yet; return its descriptor."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, bytes(_TRIED_BYTES))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _locked(path: Path) -> int | None:
    """Lock a file and return its descriptor; None when somebody holds it, or it cannot be had."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
