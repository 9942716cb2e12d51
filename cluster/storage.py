"""`Storage`: reads and writes the files of one root, on a local path or any fsspec URL.

Names are relative, use `/`, and never leave the root. A file appears whole or not at all; `create`
never overwrites, so of two writers exactly one wins.
"""

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path, PurePosixPath

from cluster.disk.disk_clock import age_s
from cluster.disk.disk_faults import disk_faults
from cluster.disk.local_disk import LocalDisk
from cluster.disk.written_path import absolute, expanded
from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from cluster.survey import Survey

_UNUSUAL = frozenset({"", ".", ".."})
"""Parts of a name that may leave the root."""


class Storage:
    """One root: a local path, `s3://bucket/folder`, `memory://…`, or another fsspec URL.

    Every method raises SurroundingsError when the disk, the network or the storage fails.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        text = os.fspath(url)
        if text.startswith("file://"):
            text = text[len("file://") :]
        if "://" in text:
            from cluster.object_store.remote_store import RemoteStore

            self._remote: RemoteStore | None = RemoteStore(text)
            self._store: LocalDisk | RemoteStore = self._remote
        else:
            self._remote = None
            self._store = LocalDisk(_root_path(text))
        self.url = self._store.url

    def __repr__(self) -> str:
        return f"Storage({self.url!r})"

    @property
    def is_local(self) -> bool:
        """True when names are files on a file system of this machine."""
        return self._remote is None

    def path(self, name: str) -> Path:
        """Return the path of a name, to be opened by others. Only on a local root.

        Raises:
            ForeignEntry: a link stands on the way to it, or is it.
        """
        assert isinstance(self._store, LocalDisk), "a remote root has no paths"
        name = _check_name(name)
        self._store.require_no_link(name)
        return self._store.root / name

    def make_folder(self, name: str) -> Path:
        """Make a folder where it is missing, through no link, and return its path (local roots).

        Its name is not synced: whoever writes what counts into it does that.
        """
        assert isinstance(self._store, LocalDisk), "a remote root has no folders"
        return self._store.make_folder(_check_name(name))

    def read(self, name: str) -> bytes:
        """Return all bytes of a name. Raises FileNotFoundError."""
        return self._store.read(_check_name(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a name, 16 MiB at a time. Raises FileNotFoundError."""
        return self._store.pieces(_check_name(name))

    def open(self, name: str) -> BufferedReader:
        """Open a file for reading (local roots). Raises FileNotFoundError."""
        assert isinstance(self._store, LocalDisk), "a remote root has no open files"
        return self._store.open(_check_name(name))

    def write(self, name: str, data: bytes) -> None:
        """Write bytes under a name, whole or not at all, replacing what was there."""
        self._store.write(_check_name(name), data)

    def create(self, name: str, data: bytes, *, syncs_names: bool = True) -> bool:
        """Write bytes under a name that must not exist yet; return False if it does.

        With `syncs_names=False` the bytes are on the disk, but the name and those of new folders
        survive a loss of power only after `sync_names`, so that it is done once for many.

        On a remote root the same bytes under the name count as written by us: this is how a write
        looks whose answer was lost.
        """
        if isinstance(self._store, LocalDisk):
            return self._store.create(_check_name(name), data, syncs_names=syncs_names)
        return self._store.create(_check_name(name), data)

    def sync_names(self, folder: str) -> None:
        """Make the names in a folder, and in those above it, survive a loss of power."""
        if isinstance(self._store, LocalDisk):
            self._store.sync_names(_check_name(folder))

    def copy(self, source: str, target: str) -> None:
        """Copy one name to another, replacing what was there.

        A hard link where a local disk allows it; on a remote root the storage makes the copy.
        Raises FileNotFoundError.
        """
        self._store.copy(_check_name(source), _check_name(target))

    def move(self, source: str, target: str) -> None:
        """Give a file or folder another name below the root; nothing of it is lost or opened."""
        self._store.move(_check_name(source), _check_name(target))

    def size(self, name: str) -> int | None:
        """Return the number of bytes under a name, or None when no file is there."""
        return self._store.size(_check_name(name))

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return name inside the folder -> bytes of every file below; a request per 1,000 files."""
        return self._store.survey(_check_name(folder)).sizes

    def survey(self, folder: str) -> Survey:
        """Return what lies below a folder; a request per 1,000 files."""
        return self._store.survey(_check_name(folder))

    def survey_top(self) -> Survey:
        """Return the unfinished writes directly in the root (local roots)."""
        return self._store.survey_top() if isinstance(self._store, LocalDisk) else Survey()

    def exists(self, name: str) -> bool:
        """Return True when the name is a file or a folder."""
        return self._store.exists(_check_name(name))

    def list(self, folder: str) -> list[str]:
        """Return the sorted names directly inside a folder; empty when it does not exist."""
        return sorted(self._store.list(_check_name(folder)))

    def walk(self, folder: str) -> Iterator[str]:
        """Yield the name of every file below a folder, relative to the root, sorted."""
        folder = _check_name(folder)
        for name in sorted(self.sizes(folder)):
            yield f"{folder}/{name}"

    def remove(self, name: str) -> None:
        """Delete a file or a whole folder, if it exists.

        Raises:
            SurroundingsError: it cannot be deleted; some of a folder may be gone.
        """
        self._store.remove(_check_name(name))

    def remove_only(self, name: str, data: bytes) -> bool:
        """Delete a file while it holds these bytes; what was written there meanwhile stays.

        Returns:
            True when such a file was deleted. On a remote root the storage itself compares, where
            it knows how to (a DELETE with If-Match); else what is written within that one request
            is lost.
        """
        return self._store.remove_only(_check_name(name), data)

    def age_s(self, name: str) -> float | None:
        """Return the seconds since a name was written, by the storage's own clock.

        None where it does not tell its time. Raises FileNotFoundError.
        """
        if self._remote is None:
            with disk_faults(self.url, f"look at {name}"):
                return age_s(self.path(name))
        return self._remote.age_s(_check_name(name))

    def upload(self, local: Path, name: str) -> None:
        """Copy a local file under a name (remote roots), whole or not at all."""
        assert self._remote is not None, "on a local root files are written where they belong"
        self._remote.upload(local, _check_name(name))

    def download(self, name: str, local: Path) -> None:
        """Copy a name to a local file (remote roots). Raises FileNotFoundError."""
        assert self._remote is not None, "on a local root files are read where they are"
        self._remote.download(_check_name(name), local)

    def require_writable(self) -> None:
        """Check that the root can be written, and on a remote one that `create` never overwrites.

        Raises:
            UserError: it cannot be written (of the class of what a disk answers, which a launch
                that nobody watches waits out), or a record could be written over.
            SurroundingsError: a remote root does not exist, or denies access.
        """
        if self._remote is not None:
            reason = self._remote.fault_of_create()
            if reason is None:
                return
            raise UserError(
                "this storage cannot refuse to overwrite an object "
                f"(a write with If-None-Match): {reason}; "
                "two launches could both publish the same job",
                where=self.url,
                hint="choose a storage with conditional writes, or a local path, with --root",
                code="root-unfit",
            )
        self.require_folder()
        self._require_writable_disk()

    def require_folder(self) -> None:
        """Require that a local root is a folder, or is still to be made.

        Raises:
            UserError: it is a file, or a link whose target is gone.
        """
        path, what = Path(self.url), "a file"
        try:
            if not self.is_local or stat.S_ISDIR(path.stat().st_mode):
                return
        except FileNotFoundError:
            if not path.is_symlink():
                return
            what = f"a link to {path.readlink()}, which is not there"
        except OSError:
            return  # it is away, or not ours to see
        raise UserError(
            f"the output root is {what}",
            where=self.url,
            hint="choose another with --root",
            code="root-not-found",
        )

    def _require_writable_disk(self) -> None:
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            self.write(probe, b"deltascale")
            self.remove(probe)
            is_fenced = self.create(probe, b"first") and not self.create(probe, b"second")
        except SurroundingsError as fault:
            raise UserError(
                f"the output root cannot be written: {fault.error}",
                where=self.url,
                hint=f"choose another with --root{_MENDING.get(fault.fault_class, '')}",
                fault_class=fault.fault_class,
                code="root-read-only",
            ) from fault
        finally:
            with contextlib.suppress(SurroundingsError):
                self.remove(probe)
        if not is_fenced:
            raise UserError(
                "this file system gives one name to two files: "
                "two launches could both publish the same job",
                where=self.url,
                hint="choose a root on another file system with --root",
                code="root-unfit",
            )


_MENDING = {
    FaultClass.STORAGE_FULL: ", or free the disk",
    FaultClass.STORAGE_READ_ONLY: ", or mount it for writing",
    FaultClass.STORAGE_AWAY: ", or look after the disk or its server",
    FaultClass.PERMISSION: ", or give yourself the right to write there",
}
"""What else helps where a root cannot be written, by the class of the fault."""


def _root_path(text: str) -> Path:
    try:
        if "\0" in text:
            raise ValueError("a zero byte")
        written = expanded(text)
    except (ValueError, UserError) as error:
        raise _no_path(text, error) from error
    path = absolute(written, what="the output root")
    try:
        _require_utf8(str(path))
        os.lstat(path)
    except ValueError as error:
        raise _no_path(text, error) from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _no_path(text, error.strerror) from error
    return path


def _no_path(text: str, why: object) -> UserError:
    why = why.error if isinstance(why, UserError) else why
    return UserError(
        f"the output root {text[:100]!r} cannot be a path: {why}", code="root-not-found"
    )


def _require_utf8(path: str) -> None:
    """Raise ValueError for a path that Ray, JSON and libraries of models cannot be told."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it is not UTF-8; rename the folder, or choose another root") from None


def _check_name(name: str) -> str:
    if not name.isascii() or "\0" in name:
        _require_encodable(name)
    if _UNUSUAL.isdisjoint(name.split("/")):
        return name
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise UserError(f"the name {name!r} would leave the output root")
    return "/".join(parts)


def _require_encodable(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"the name {name!r} cannot be the name of a file") from error
    if "\0" in name:
        raise UserError(f"the name {name!r} cannot be the name of a file")
