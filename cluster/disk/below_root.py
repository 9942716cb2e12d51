"""Ways from a root to what lies below it, one folder at a time, and never through a link.

The root itself may be a link. Every folder below it is opened from the one above, not by its path,
so that whoever may write to a root cannot lead a read, a write or a deletion out of it, not even
between a look and a deed.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cluster.disk.disk_faults import foreign_entry, sync_descriptor
from cluster.disk.linkless_open import open_through_no_link

# Without a look at what is inside: such a descriptor costs a network disk no request of its own.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Not to wait for ever at a pipe that somebody put where a file belongs."""
_LOOK = getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC


class BelowRoot:
    """Folders and files below one root, opened without following links.

    Raises `ForeignEntry` where a link stands in the way, and FileNotFoundError where nothing does.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    @contextmanager
    def parent(
        self, name: str, *, make: bool = False, syncs: bool = True
    ) -> Iterator[tuple[int, str]]:
        """Yield a descriptor of the folder that holds a name, and the name inside it.

        Args:
            name: A name relative to the root.
            make: Make the folders that are missing, and give a descriptor that can be synced.
            syncs: Sync the names of those that are made.
        """
        *folders, last = name.split("/")
        descriptor = self._descend(folders, make=make, is_open=make, syncs=syncs)
        try:
            yield descriptor, last
        finally:
            os.close(descriptor)

    @contextmanager
    def folder(self, name: str) -> Iterator[int]:
        """Yield a descriptor of a folder, to be listed."""
        descriptor = self._descend(name.split("/"), make=False, is_open=True)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def make_folder(self, name: str) -> None:
        """Make a folder and those above it where they are missing, without syncing their names."""
        os.close(self._descend(name.split("/"), make=True, is_open=False, syncs=False))

    def open_file(self, name: str) -> int:
        """Return a descriptor of a plain file, to be read. Raises ForeignEntry for others."""
        descriptor = open_through_no_link(f"{self.root}/{name}", _READ)
        if descriptor is None:
            descriptor = self._open_in_steps(name)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            raise foreign_entry(self.root, name, mode)
        return descriptor

    def _open_in_steps(self, name: str) -> int:
        with self.parent(name) as (folder, last):
            try:
                return os.open(last, _READ, dir_fd=folder)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENXIO):
                    raise self._foreign(folder, last, name, wanted="file") from error
                raise

    def stat(self, name: str) -> os.stat_result:
        """Return what is known of an entry; a link is not followed."""
        descriptor = open_through_no_link(f"{self.root}/{name}", _LOOK)
        if descriptor is not None:
            try:
                return os.fstat(descriptor)
            finally:
                os.close(descriptor)
        with self.parent(name) as (folder, last):
            return os.stat(last, dir_fd=folder, follow_symlinks=False)

    def require_no_link(self, name: str) -> None:
        """Raise ForeignEntry when a link stands on the way to a name, or is the name.

        What cannot be looked at passes: whoever opens it by its path is refused, too.
        """
        try:
            descriptor = open_through_no_link(f"{self.root}/{name}", _LOOK)
        except FileNotFoundError:
            return
        if descriptor is not None:
            os.close(descriptor)
            return
        parts = name.split("/")
        for number in range(1, len(parts) + 1):
            way = "/".join(parts[:number])
            try:
                mode = os.lstat(f"{self.root}/{way}").st_mode
            except OSError:
                return
            if stat.S_ISLNK(mode):
                raise foreign_entry(self.root, way, mode)

    def _descend(self, folders: list[str], *, make: bool, is_open: bool, syncs: bool = True) -> int:
        try:
            whole = open_through_no_link(
                "/".join([self.root, *folders]), _OPEN if make or is_open else _PASS
            )
        except FileNotFoundError:
            if not make:
                raise
            return self._make_last(folders, syncs=syncs)
        if whole is not None:
            return whole
        return self._descend_in_steps(folders, make=make, is_open=is_open, syncs=syncs)

    def _make_last(self, folders: list[str], *, syncs: bool) -> int:
        """Make the last of several folders, and those before it where they are missing, too."""
        if not folders:
            self._make_root()
            return os.open(self.root, _OPEN)
        here = self._descend(folders[:-1], make=True, is_open=True, syncs=syncs)
        try:
            _make_here(folders[-1], here, syncs=syncs)
            return self._step(here, folders, folders[-1], _OPEN, make=True, syncs=syncs)
        finally:
            os.close(here)

    def _descend_in_steps(
        self, folders: list[str], *, make: bool, is_open: bool, syncs: bool
    ) -> int:
        flags = _OPEN if make else _PASS
        if make:
            self._make_root()
        try:
            here = os.open(self.root, _OPEN if is_open and not folders else flags)
        except NotADirectoryError as error:
            if make:
                raise
            raise FileNotFoundError(*error.args) from error
        for number, part in enumerate(folders, 1):
            wanted = _OPEN if is_open and number == len(folders) else flags
            try:
                there = self._step(here, folders[:number], part, wanted, make=make, syncs=syncs)
            finally:
                os.close(here)
            here = there
        return here

    def _make_root(self) -> None:
        if not os.path.isdir(self.root):
            os.makedirs(self.root, exist_ok=True)

    def _step(
        self, here: int, way: list[str], part: str, flags: int, *, make: bool, syncs: bool
    ) -> int:
        try:
            return os.open(part, flags | os.O_NOFOLLOW, dir_fd=here)
        except FileNotFoundError:
            if not make:
                raise
            _make_here(part, here, syncs=syncs)
            return os.open(part, flags | os.O_NOFOLLOW, dir_fd=here)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            mode = os.stat(part, dir_fd=here, follow_symlinks=False).st_mode
            if make or stat.S_ISLNK(mode):
                raise foreign_entry(self.root, "/".join(way), mode, wanted="folder") from error
            raise FileNotFoundError(errno.ENOENT, "no such folder", "/".join(way)) from error

    def _foreign(self, folder: int, last: str, name: str, *, wanted: str) -> Exception:
        mode = os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode
        return foreign_entry(self.root, name, mode, wanted=wanted)


def _make_here(part: str, here: int, *, syncs: bool) -> None:
    with suppress(FileExistsError):  # another process was first
        os.mkdir(part, dir_fd=here)
        if syncs:
            sync_descriptor(here)
