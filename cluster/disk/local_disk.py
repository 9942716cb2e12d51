"""`LocalDisk`: the methods of `Storage` for a root on a file system of this machine.

A write is a temporary file beside the target, flush, fsync, rename, fsync of the folder; `create`
gives the name only where it is free (`exclusive_name.py`). No link below the root is followed
(`below_root.py`).
"""

import contextlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import IO

from cluster.disk.below_root import BelowRoot
from cluster.disk.disk_faults import ForeignEntry, disk_faults, sync_descriptor
from cluster.disk.exclusive_name import give_name
from cluster.disk.opened_file import READ_AT_ONCE, OpenedFile
from cluster.fault_points import fault_point
from cluster.survey import Survey, Unfinished

StrPath = str | os.PathLike[str]

_PIECE_BYTES = 1 << 24
_TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{16}")
"""Names that writes give their files until they are whole; no name of a study begins so."""
_OLD_TEMPORARY = re.compile(r".+\.tmp-[0-9a-f]{8}")
"""As above, from versions before; folders of such names are studies and other people's."""
_PROBE = re.compile(r"\.probe-[0-9a-f]{32}")
"""Names of files that only try whether a root can be written."""
_UNLINKED_WHILE_OPEN = re.compile(r"\.nfs[0-9a-f]{16,}")
"""What an NFS client leaves of a file that was deleted while a process had it open."""


class LocalDisk:
    """A root that is a folder. `Storage` has checked the names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)
        self._below = BelowRoot(self.url)

    def read(self, name: str) -> bytes:
        """Return all bytes of a name. Raises FileNotFoundError."""
        with disk_faults(self.url, f"read {name}"):
            fault_point("read", file=name)
            descriptor = self._below.open_file(name)
            try:
                return _read_all(descriptor)
            finally:
                os.close(descriptor)

    def open(self, name: str) -> BufferedReader:
        """Open a plain file for reading. Raises FileNotFoundError."""
        with disk_faults(self.url, f"read {name}"):
            fault_point("read", file=name)
            descriptor = self._below.open_file(name)
        return BufferedReader(OpenedFile(descriptor, self.url, f"read {name}"), READ_AT_ONCE)

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a name, 16 MiB at a time. Raises FileNotFoundError."""
        with disk_faults(self.url, f"read {name}"), self.open(name) as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def write(self, name: str, data: bytes) -> None:
        """Write bytes under a name, whole or not at all."""
        with self._folder_for_write(name) as (folder, last):
            temporary = _durable_temporary(folder, data)
            try:
                os.replace(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                _forget(temporary, folder)
                raise
            sync_descriptor(folder)

    def create(self, name: str, data: bytes, *, syncs_names: bool = True) -> bool:
        """Write bytes under a name that must not exist yet; return False when it does."""
        with self._folder_for_write(name, syncs_names=syncs_names) as (folder, last):
            temporary = _durable_temporary(folder, data)
            try:
                is_ours = give_name(temporary, last, folder, data)
            finally:
                _forget(temporary, folder)
            if syncs_names:
                sync_descriptor(folder)
            return is_ours

    def sync_names(self, folder: str) -> None:
        """Sync a folder and those above it, inner ones first."""
        with disk_faults(self.url, f"write {folder}", is_question=False):
            parts = folder.split("/")
            for number in range(len(parts), 0, -1):
                with self._below.folder("/".join(parts[:number])) as descriptor:
                    sync_descriptor(descriptor)
            sync(self.url)

    def copy(self, source: str, target: str) -> None:
        """Make a hard link where the disk allows it, which costs nothing, else a copy."""
        with (
            self._folder_for_write(target, is_question=True) as (folder, last),
            self._below.parent(source) as (there, name),
            self.open(source) as file,
        ):
            temporary = _temporary()
            try:
                _link_or_copy_open(file, f"/proc/self/fd/{there}/{name}", temporary, folder)
                os.replace(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                # Renaming one name of a file to another name of it leaves both.
                _forget(temporary, folder)
            sync_descriptor(folder)

    def move(self, source: str, target: str) -> None:
        """Give a file or folder another name; a link is moved, not what it names."""
        with (
            self._folder_for_write(target, is_question=True) as (folder, last),
            self._below.parent(source) as (there, name),
        ):
            os.rename(name, last, src_dir_fd=there, dst_dir_fd=folder)
            sync_descriptor(folder)

    def make_folder(self, name: str) -> Path:
        """Make a folder where it is missing; return its path."""
        with disk_faults(self.url, f"make {name}", is_question=False):
            self._below.make_folder(name)
        return self.root / name

    def size(self, name: str) -> int | None:
        """Return the bytes under a name, or None when no plain file is there."""
        with disk_faults(self.url, f"look at {name}"):
            try:
                found = self._below.stat(name)
            except (FileNotFoundError, ForeignEntry):
                return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def survey(self, folder: str) -> Survey:
        """Return what lies below a folder; nothing when it does not exist."""
        walk = _Walk()
        with (
            disk_faults(self.url, f"list {folder}"),
            contextlib.suppress(FileNotFoundError),
            self._below.folder(folder) as descriptor,
        ):
            walk.below(descriptor, "")
        return Survey(sizes=walk.sizes, odd=walk.odd, empty=walk.empty, unfinished=walk.unfinished)

    def survey_top(self) -> Survey:
        """Return the unfinished writes directly in the root."""
        walk = _Walk()
        with (
            disk_faults(self.url, "list the root"),
            contextlib.suppress(FileNotFoundError),
            os.scandir(self.url) as entries,
        ):
            for entry in entries:
                if _is_leftover(entry) or _PROBE.fullmatch(entry.name):
                    walk.file(entry, entry.name, is_leftover=True)
        return Survey(unfinished=walk.unfinished)

    def exists(self, name: str) -> bool:
        """Return True when anything has the name; a link counts, and is not followed."""
        with disk_faults(self.url, f"look at {name}"):
            try:
                self._below.stat(name)
            except FileNotFoundError:
                return False
        return True

    def list(self, folder: str) -> list[str]:
        """Return the names directly inside a folder."""
        with disk_faults(self.url, f"list {folder}"):
            try:
                with (
                    self._below.folder(folder) as descriptor,
                    os.scandir(descriptor) as entries,
                ):
                    return [entry.name for entry in entries if not _is_leftover(entry)]
            except FileNotFoundError:
                return []

    def remove(self, name: str) -> None:
        """Delete a file or a whole folder; of a link, the link."""
        with (
            disk_faults(self.url, f"delete {name}"),
            contextlib.suppress(FileNotFoundError),
            self._below.parent(name) as (folder, last),
        ):
            if stat.S_ISDIR(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
                _remove_folder(last, folder)
            else:
                os.unlink(last, dir_fd=folder)

    def remove_only(self, name: str, data: bytes) -> bool:
        """Delete a file while it holds these bytes: taken aside first, put back if it has others.

        For an instant nothing stands there; what is written in that instant stays.
        """
        if self._bytes_of(name) != data:
            return False
        with (
            disk_faults(self.url, f"delete {name}"),
            contextlib.suppress(FileNotFoundError),
            self._below.parent(name, make=True) as (folder, last),
        ):
            aside = _temporary()
            os.rename(last, aside, src_dir_fd=folder, dst_dir_fd=folder)
            try:
                latest = self._bytes_of(str(PurePosixPath(name).with_name(aside)))
                if latest is not None and latest != data:
                    give_name(aside, last, folder, latest)
                return latest == data
            finally:
                _forget(aside, folder)
                sync_descriptor(folder)
        return False

    def _bytes_of(self, name: str) -> bytes | None:
        try:
            return self.read(name)
        except FileNotFoundError:
            return None

    def require_no_link(self, name: str) -> None:
        """Raise ForeignEntry when a link stands on the way to a name, or is the name."""
        self._below.require_no_link(name)

    @contextlib.contextmanager
    def _folder_for_write(
        self, name: str, *, is_question: bool = False, syncs_names: bool = True
    ) -> Iterator[tuple[int, str]]:
        """Yield the folder of a name, made where it is missing; faults are those of a write."""
        with (
            disk_faults(self.url, f"write {name}", is_question=is_question),
            self._below.parent(name, make=True, syncs=syncs_names) as place,
        ):
            fault_point("write", file=name)
            yield place
            fault_point("written", file=name, path=f"{self.root}/{name}")


def link_or_copy(source: StrPath, target: StrPath) -> None:
    """Give a file's bytes a second name; on another disk, or one without links, copy them durably.

    Only for files that are never written to again. Raises FileNotFoundError.
    """
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
        sync(target)


def sync(path: StrPath) -> None:
    """Make the bytes of a file, or the names in a folder, survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def is_leftover(name: str) -> bool:
    """Tell whether a file's name is one that no finished file has: an unfinished write, `.nfs…`."""
    if ".tmp-" not in name and not name.startswith(".nfs"):
        return False
    patterns = (_TEMPORARY, _OLD_TEMPORARY, _UNLINKED_WHILE_OPEN)
    return any(pattern.fullmatch(name) for pattern in patterns)


def _is_leftover(entry: "os.DirEntry[str]") -> bool:
    return is_leftover(entry.name) and entry.is_file(follow_symlinks=False)


def _temporary() -> str:
    return f".tmp-{os.urandom(8).hex()}"


def _read_all(descriptor: int) -> bytes:
    """Return all bytes of an open file, as many as it has now."""
    left, pieces = os.fstat(descriptor).st_size, list[bytes]()
    while left > 0 and (piece := os.read(descriptor, min(left, _PIECE_BYTES))):
        pieces.append(piece)
        left -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _durable_temporary(folder: int, data: bytes) -> str:
    temporary = _temporary()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o666, dir_fd=folder)
    try:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            sync_descriptor(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        _forget(temporary, folder)
        raise
    return temporary


def _link_or_copy_open(file: IO[bytes], path: str, target: str, folder: int) -> None:
    """Give an open file a second name in a folder, or copy it there durably.

    Args:
        file: The file.
        path: A path of it, through descriptors that are open.
        target: The second name.
        folder: Descriptor of the folder that it is to have this name in.
    """
    with contextlib.suppress(OSError):
        os.link(path, f"/proc/self/fd/{folder}/{target}")
        if os.path.samestat(os.fstat(file.fileno()), os.lstat(target, dir_fd=folder)):
            return
        os.unlink(target, dir_fd=folder)  # the name was given to another file meanwhile
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(target, flags, 0o666, dir_fd=folder), "wb") as copy:
        shutil.copyfileobj(file, copy, _PIECE_BYTES)
        copy.flush()
        sync_descriptor(copy.fileno())


def _forget(temporary: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(temporary, dir_fd=folder)


class _Walk:
    """Gathers a survey, folder by folder."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.odd: list[str] = []
        self.empty: list[str] = []
        self.unfinished: dict[str, Unfinished] = {}
        self._now = time.time()

    def below(self, folder: int, inside: str) -> None:
        """Add everything below an open folder; `inside` comes before its names."""
        is_empty = True
        with os.scandir(folder) as entries:
            for entry in entries:
                is_empty = False
                name = inside + entry.name
                try:
                    if entry.is_file(follow_symlinks=False):
                        self.file(entry, name, is_leftover=is_leftover(entry.name))
                    elif entry.is_dir(follow_symlinks=False):
                        self._folder(entry.name, folder, f"{name}/")
                    else:
                        self.odd.append(name)
                except FileNotFoundError:
                    continue  # it vanished meanwhile
        if is_empty and inside:
            self.empty.append(inside.removesuffix("/"))

    def file(self, entry: "os.DirEntry[str]", name: str, *, is_leftover: bool) -> None:
        """Add one plain file."""
        of_file = entry.stat(follow_symlinks=False)
        if is_leftover:
            age_s = self._now - of_file.st_mtime
            self.unfinished[name] = Unfinished(bytes=of_file.st_size, age_s=age_s)
        else:
            self.sizes[name] = of_file.st_size

    def _folder(self, name: str, folder: int, inside: str) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=folder)
        try:
            self.below(descriptor, inside)
        finally:
            os.close(descriptor)


def _remove_folder(name: str, folder: int) -> None:
    while True:
        # Another process may delete a part meanwhile; the rest is still to be deleted.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(name, dir_fd=folder)
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
