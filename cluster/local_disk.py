"""`LocalDisk`: the methods of `Storage` for a root on a file system of this machine.

A write is a temporary file beside the target, flush, fsync, rename, fsync of the folder; `create`
links instead of renaming, which fails where the name exists.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass, class_of_os_error

StrPath = str | os.PathLike[str]

_PIECE_BYTES = 1 << 24


class LocalDisk:
    """A root that is a folder. `Storage` has checked the names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def _place(self, name: str) -> str:
        """Return a path as text: reading 10,000 records makes no Path objects."""
        return f"{self.url}/{name}"

    def read(self, name: str) -> bytes:
        """Return all bytes of a name. Raises FileNotFoundError."""
        try:
            with open(self._place(name), "rb") as stream:
                return stream.read()
        except NotADirectoryError as error:
            raise FileNotFoundError(*error.args) from error

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a name, 16 MiB at a time. Raises FileNotFoundError."""
        with open(self._place(name), "rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece

    def write(self, name: str, data: bytes) -> None:
        """Write bytes under a name, whole or not at all."""
        path = self.root / name
        with _disk_faults(self.url):
            os.replace(_durable_temporary(path, data), path)
            sync(path.parent)

    def create(self, name: str, data: bytes) -> bool:
        """Write bytes under a name that must not exist yet; return False when it does."""
        path = self.root / name
        with _disk_faults(self.url):
            temporary = _durable_temporary(path, data)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            finally:
                os.unlink(temporary)
            sync(path.parent)
            return True

    def copy(self, source: str, target: str) -> None:
        """Make a hard link where the disk allows it, which costs nothing, else a copy."""
        path = self.root / target
        with _disk_faults(self.url):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = _temporary(path)
            try:
                link_or_copy(self.root / source, temporary)
                os.replace(temporary, path)
            finally:
                # Renaming one name of a file to another name of it leaves both.
                temporary.unlink(missing_ok=True)
            sync(path.parent)

    def size(self, name: str) -> int | None:
        """Return the number of bytes under a name, or None when there is nothing."""
        try:
            return os.stat(self._place(name)).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def sizes(self, folder: str) -> dict[str, int]:
        """Return name inside the folder -> bytes, of every file below it."""
        place = self.root / folder
        return {
            path.relative_to(place).as_posix(): path.stat().st_size
            for path in place.rglob("*")
            if path.is_file()
        }

    def exists(self, name: str) -> bool:
        """Return True when the name is a file or a folder."""
        return os.path.exists(self._place(name))

    def list(self, folder: str) -> list[str]:
        """Return the names directly inside a folder."""
        try:
            return [entry for entry in os.listdir(self.root / folder) if ".tmp-" not in entry]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError as error:
            raise SurroundingsError(
                f"the folder {folder!r} may not be read", where=self.url
            ) from error

    def remove(self, name: str) -> None:
        """Delete a file or a whole folder."""
        path = self.root / name
        try:
            if path.is_dir() and not path.is_symlink():
                _remove_folder(path)
            else:
                path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise SurroundingsError(
                f"cannot delete {name}: {error.strerror or error}", where=self.url
            ) from error

    def remove_only(self, name: str, data: bytes) -> bool:
        """Delete a file while it holds these bytes: taken aside first, put back if it has others.

        For an instant nothing stands there; what is written in that instant stays.
        """
        path = self.root / name
        aside = _temporary(path)
        with _disk_faults(self.url):
            try:
                if path.read_bytes() != data:
                    return False
                os.rename(path, aside)
            except (FileNotFoundError, NotADirectoryError):
                return False
            try:
                is_same = aside.read_bytes() == data
                if not is_same:
                    with contextlib.suppress(FileExistsError):
                        os.link(aside, path)
            finally:
                aside.unlink(missing_ok=True)
            sync(path.parent)
            return is_same


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
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{path.name}.tmp-{uuid.uuid4().hex[:8]}")


def _durable_temporary(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        with open(temporary, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _remove_folder(path: Path) -> None:
    while path.exists():
        # Another process may delete a part meanwhile; the rest is still to be deleted.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)


@contextlib.contextmanager
def _disk_faults(url: str) -> Iterator[None]:
    """Turn what a disk does to a write (full, read-only, away) into a SurroundingsError."""
    try:
        yield
    except OSError as error:
        fault_class = class_of_os_error(error)
        if fault_class is FaultClass.UNKNOWN:
            raise
        raise SurroundingsError(
            f"cannot write: {error.strerror}", where=url, fault_class=fault_class
        ) from error
