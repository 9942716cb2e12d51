"""Copies of a remote root's files on this machine, for libraries that want a path.

All jobs of a user on a machine share them, in the private folder that
`cluster/disk/temp_folders.py` makes. Together they have a limit; what was used longest ago goes
first, and never what a job has open. They may be deleted whenever no job runs.
"""

import contextlib
import fcntl
import math
import os
import shutil
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import xxhash

from cluster.disk.disk_faults import fault_of
from cluster.disk.temp_folders import lasting_folder
from cluster.errors import UserError
from cluster.storage import Storage

LIMIT = "DELTASCALE_COPIES_GB"
"""Variable that says how much all copies of a machine may take, in GB."""
_COPIES = "copies"
_PARTS_OF_UNIT = 5
"""`artifacts/<kind>/<key16>/attempts/<id>`: what is used together, and goes together."""
_SHARE_OF_DISK = 0.25
_COUNTED_FOR_S = 60.0


def place_of_copy(storage: Storage, name: str) -> Path:
    """Return where the copy of a remote name lies, or will lie."""
    return _folder_of_root(storage) / name


def local_copy(
    storage: Storage, name: str, is_whole: Callable[[Path], bool], *, num_bytes: int = 0
) -> bool:
    """See that a whole copy lies at `place_of_copy`; False when the root itself has no whole one.

    A copy that stands there is believed after `is_whole` looked at it, and is made anew otherwise.
    A new one gets its name last, so that jobs that ask at the same time never see half of one.

    Args:
        storage: The remote root.
        name: The file, relative to the root.
        is_whole: Tells whether a local file has the bytes it should have.
        num_bytes: How many bytes that is; other copies make room for them.
    """
    path = place_of_copy(storage, name)
    if is_whole(path):
        return True
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:16]}")
    try:
        _make_room(num_bytes)
        storage.download(name, temporary)
        if not is_whole(temporary):
            return False
        os.replace(temporary, path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise fault_of(error, str(path.parent), f"copy {name} here") from error
    finally:
        temporary.unlink(missing_ok=True)
    return True


class HeldCopies:
    """Keeps the copies of one attempt's files from being deleted, as long as this object lives."""

    def __init__(self, storage: Storage, folder: str) -> None:
        """Hold the copies of what lies below a folder of the root."""
        place = _unit(_folder_of_root(storage), folder)
        try:
            descriptor = _hold(place)
        except OSError as error:
            raise fault_of(error, str(place), "keep copies of inputs") from error
        weakref.finalize(self, os.close, descriptor)


def _hold(place: Path) -> int:
    while True:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # no locks here: then nothing is deleted either
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            os.utime(place)  # used now
            if os.path.samestat(os.fstat(descriptor), os.lstat(place)):
                return descriptor
        os.close(descriptor)  # it was deleted before it was locked


def _folder_of_root(storage: Storage) -> Path:
    return lasting_folder(_COPIES) / xxhash.xxh3_64_hexdigest(storage.url.encode())


def _unit(root: Path, name: str) -> Path:
    return root.joinpath(*name.split("/")[:_PARTS_OF_UNIT])


@dataclass
class _Count:
    """What all copies of this machine take, as this process last counted."""

    bytes: int = 0
    """Bytes at the last count, and copied here since."""
    at: float = -math.inf
    """When they were counted, by the monotonic clock."""


_count = _Count()


def _make_room(num_bytes: int) -> None:
    """Delete the copies that were used longest ago until so many bytes fit."""
    copies = lasting_folder(_COPIES)
    limit = _limit(copies)
    if time.monotonic() - _count.at < _COUNTED_FOR_S and _count.bytes + num_bytes <= limit:
        _count.bytes += num_bytes
        return
    units = sorted(_units(copies))
    _count.bytes, _count.at = sum(size for _, _, size in units) + num_bytes, time.monotonic()
    for _, place, size in units:
        if _count.bytes <= limit and shutil.disk_usage(copies).free > num_bytes:
            return
        if _delete_unused(place):
            _count.bytes -= size


def _limit(copies: Path) -> float:
    written = os.environ.get(LIMIT)
    if written is None:
        return _SHARE_OF_DISK * shutil.disk_usage(copies).total
    with contextlib.suppress(ValueError):
        if math.isfinite(limit := float(written) * 1e9) and limit >= 0:
            return limit
    raise UserError(f"{LIMIT} is {written!r}", where=LIMIT, allowed=["a number of GB, as 200"])


def _units(copies: Path) -> Iterator[tuple[float, Path, int]]:
    """Yield when each unit was used last, where it lies and its bytes."""
    for place in copies.glob("*/" + "/".join("*" * _PARTS_OF_UNIT)):
        with contextlib.suppress(FileNotFoundError):
            files = [file.stat() for file in place.rglob("*") if file.is_file()]
            yield place.stat().st_mtime, place, sum(file.st_size for file in files)


def _delete_unused(place: Path) -> bool:
    """Delete a unit that no process holds."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(place, ignore_errors=True)
        return not place.exists()
    except OSError:
        return False
    finally:
        os.close(descriptor)
