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
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path, PurePosixPath

from cluster.disk.below_root import BelowRoot
from cluster.disk.disk_faults import ForeignEntry, disk_faults, sync_descriptor
from cluster.disk.durable import sync
from cluster.disk.exclusive_name import give_name
from cluster.disk.opened_file import READ_AT_ONCE, OpenedFile
from cluster.disk.unfinished import (
    forget,
    is_leftover_entry,
    link_or_copy_open,
    temporary_name,
    write_unfinished,
)
from cluster.disk.walk import Walk
from cluster.fault_points import fault_point
from cluster.survey import Survey

_PIECE_BYTES = 1 << 24
_PROBE = re.compile(r"\.probe-[0-9a-f]{32}")
"""Names of files that only try whether a root can be written."""


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
            temporary = write_unfinished(folder, data)
            try:
                os.replace(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                forget(temporary, folder)
                raise
            sync_descriptor(folder)

    def create(self, name: str, data: bytes, *, syncs_names: bool = True) -> bool:
        """Write bytes under a name that must not exist yet; return False when it does."""
        with self._folder_for_write(name, syncs_names=syncs_names) as (folder, last):
            temporary = write_unfinished(folder, data)
            try:
                is_ours = give_name(temporary, last, folder, data)
            finally:
                forget(temporary, folder)
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
            temporary = temporary_name()
            try:
                link_or_copy_open(file, f"/proc/self/fd/{there}/{name}", temporary, folder)
                os.replace(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                # Renaming one name of a file to another name of it leaves both.
                forget(temporary, folder)
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
        walk = Walk()
        with (
            disk_faults(self.url, f"list {folder}"),
            contextlib.suppress(FileNotFoundError),
            self._below.folder(folder) as descriptor,
        ):
            walk.below(descriptor, "")
        return walk.survey()

    def survey_top(self) -> Survey:
        """Return the unfinished writes directly in the root."""
        walk = Walk()
        with (
            disk_faults(self.url, "list the root"),
            contextlib.suppress(FileNotFoundError),
            os.scandir(self.url) as entries,
        ):
            for entry in entries:
                if is_leftover_entry(entry) or _PROBE.fullmatch(entry.name):
                    walk.file(entry, entry.name, is_leftover=True)
        return walk.survey()

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
                    return [entry.name for entry in entries if not is_leftover_entry(entry)]
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
            aside = temporary_name()
            os.rename(last, aside, src_dir_fd=folder, dst_dir_fd=folder)
            try:
                latest = self._bytes_of(str(PurePosixPath(name).with_name(aside)))
                if latest is not None and latest != data:
                    give_name(aside, last, folder, latest)
                return latest == data
            finally:
                forget(aside, folder)
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


def _read_all(descriptor: int) -> bytes:
    """Return all bytes of an open file, as many as it has now."""
    left, pieces = os.fstat(descriptor).st_size, list[bytes]()
    while left > 0 and (piece := os.read(descriptor, min(left, _PIECE_BYTES))):
        pieces.append(piece)
        left -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _remove_folder(name: str, folder: int) -> None:
    while True:
        # Another process may delete a part meanwhile; the rest is still to be deleted.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(name, dir_fd=folder)
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
