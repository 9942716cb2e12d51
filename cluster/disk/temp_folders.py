"""Folders of ours in the temp folder: private, held by a lock while in use, swept afterwards.

All lie in one folder of this user, `deltascale-<uid>`, which nobody else may enter. Each has a file
beside it that its process locks, and the kernel frees with its death: whatever has no holder any
more is deleted at the next start of a launch or a worker.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass, class_of_os_error

Made = TypeVar("Made")

_LOCK = ".lock"
_TRIES = 10
_SWEPT_EVERY_S = 60.0
_swept_at = -_SWEPT_EVERY_S
_SPARE_NAMES = 10
"""Names tried beside the first, which somebody else may have taken to keep us from it."""


class TempFolder:
    """A new private folder, which goes with `remove`, with this object, or at the next sweep."""

    def __init__(self, purpose: str, *, base: Path | None = None) -> None:
        """Make the folder.

        Args:
            purpose: What it is for, in one word: its name begins with it.
            base: Folder to make it in; None for this user's own.

        Raises:
            SurroundingsError: there is no temp folder, or it takes no folder of ours.
        """
        self.path, lock = _in_base(lambda folder: _make(folder, purpose), base)
        self._end = weakref.finalize(self, _remove, self.path, lock, os.getpid())

    def remove(self) -> None:
        """Delete the folder and what is in it."""
        self._end()

    def __enter__(self) -> Path:
        """Return the folder's path."""
        return self.path

    def __exit__(self, *fault: object) -> None:
        """Delete the folder."""
        self.remove()


def private_base() -> Path:
    """Return this user's folder in the temp folder, made or checked: 0700, and no link.

    Inside a process whose own temp folder lies in it, it is the same.

    Raises:
        SurroundingsError: no such folder can be had.
    """
    with _faults():
        place = Path(tempfile.gettempdir())
        ours = re.compile(rf"deltascale-{os.geteuid()}(-\d)?")
        for folder in (place, *place.parents):
            if ours.fullmatch(folder.name):
                if _is_private(folder):
                    return folder
                place = folder.parent
        # What cleans temp folders, or the end of a batch job, may have taken it away.
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(_SPARE_NAMES):
            folder = place / (f"deltascale-{os.geteuid()}" + (f"-{number}" if number else ""))
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            if _is_private(folder):
                return folder
    raise SurroundingsError(
        "no private folder can be made: all of its names belong to somebody else",
        where=str(place / f"deltascale-{os.geteuid()}"),
        hint="set TMPDIR to a folder that only you can write",
        fault_class=FaultClass.PERMISSION,
    )


def lasting_folder(name: str) -> Path:
    """Return a private folder that no sweep deletes, made where it is missing."""

    def make(base: Path) -> Path:
        folder = base / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    return _in_base(make)


def unheld() -> list[str]:
    """List the folders whose processes have ended, and which nobody has swept yet."""
    left = []
    with contextlib.suppress(OSError, SurroundingsError):
        folder = private_base()
        for name in os.listdir(folder):
            if name.endswith(_LOCK) and _is_unheld(folder / name):
                left.append(str(folder / name.removesuffix(_LOCK)))
    return sorted(left)


def _is_unheld(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return bool(_take(descriptor, lock))
    finally:
        os.close(descriptor)


def sweep_now_and_then() -> None:
    """Sweep, unless this process did a minute ago: a worker may begin hundreds of jobs a second."""
    global _swept_at
    now = time.monotonic()
    if now - _swept_at >= _SWEPT_EVERY_S:
        _swept_at = now
        sweep()


def sweep(base: Path | None = None) -> None:
    """Delete the folders whose processes have ended, as far as they can be deleted."""
    with contextlib.suppress(OSError, SurroundingsError):
        folder = base or private_base()
        for name in os.listdir(folder):
            if name.endswith(_LOCK):
                _sweep(folder / name)


@contextlib.contextmanager
def swept() -> Iterator[None]:
    """Sweep before and after the block, or the function that this decorates.

    Workers that Ray ends have no time to delete what is theirs.
    """
    sweep()
    try:
        yield
    finally:
        sweep()


@contextlib.contextmanager
def own_temp_folder() -> Iterator[None]:
    """Let libraries make their temporary files in a folder of this process while the block runs.

    It lives as long as the process: what a library once made there may be used until then.
    """
    place = _of_process(os.getpid()).path
    with _faults():  # a worker may live longer than what cleans the temp folder lets files live
        private_base()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = str(place)
    names = ("TMPDIR", "TEMP", "TMP")
    before = {name: os.environ.get(name) for name in names}
    before_in_python = tempfile.tempdir
    os.environ.update(dict.fromkeys(names, folder))
    tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = before_in_python
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@cache
def _of_process(pid: int) -> TempFolder:
    """Return the folder of this process; a fork has a number, and so a folder, of its own."""
    return TempFolder("process")


def _is_private(folder: Path) -> bool:
    """Tell whether a folder is ours alone; takes from others what they may only read."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not is_ours or found.st_mode & 0o022:  # others may have put something there
        return False
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return True


def _in_base(make: Callable[[Path], Made], base: Path | None = None) -> Made:
    """Make something in the base; again when the base went meanwhile, as an empty one does."""
    with _faults():
        for _ in range(_TRIES):
            with contextlib.suppress(FileNotFoundError):
                return make(base or private_base())
        return make(base or private_base())


def _make(base: Path, purpose: str) -> tuple[Path, int]:
    """Make a folder and lock the file beside it, the lock first: no sweep sees one without."""
    while True:
        folder = base / f"{purpose}-{secrets.token_hex(4)}"
        lock = folder.with_name(folder.name + _LOCK)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        if _take(descriptor, lock) is False:
            os.close(descriptor)  # a sweep was here between the two
            continue
        folder.mkdir(mode=0o700)
        return folder, descriptor


def _take(descriptor: int, lock: Path) -> bool | None:
    """Lock an open file that must have this name still; None where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(lock))
    except FileNotFoundError:
        return False


def _sweep(lock: Path) -> None:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if _take(descriptor, lock):
            _delete(lock.with_name(lock.name.removesuffix(_LOCK)), lock)
    finally:
        os.close(descriptor)


def _remove(folder: Path, lock: int, owner: int) -> None:
    """Delete a folder of this process; a fork of it only lets go."""
    if os.getpid() == owner:
        _delete(folder, folder.with_name(folder.name + _LOCK))
    with contextlib.suppress(OSError):
        os.close(lock)


def _delete(folder: Path, lock: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        lock.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are in use
            folder.parent.rmdir()


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        is_away = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise SurroundingsError(
            f"the temp folder takes no folder of ours: {error.strerror or error}",
            where=error.filename or os.environ.get("TMPDIR") or "/tmp",
            hint="free space there, or set TMPDIR to a folder on another disk",
            fault_class=FaultClass.STORAGE_AWAY if is_away else class_of_os_error(error),
        ) from error
