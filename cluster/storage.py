"""`Storage`: the few verbs over bytes that the house needs, on a local path or any fsspec URL.

Names are relative, use `/`, and never leave the root. What is written appears whole or not at all;
`create` is create-only everywhere, so of two writers exactly one wins.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cluster.errors import SurroundingsError, UserError
from cluster.local_disk import LocalDisk

_UNUSUAL = frozenset({"", ".", ".."})
"""Parts of a name that need a closer look."""


class Storage:
    """One root: a local path, `s3://bucket/folder`, `memory://…`, or another fsspec URL.

    Every verb raises SurroundingsError when the disk, the network or the storage does not do it.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        text = os.fspath(url)
        if text.startswith("file://"):
            text = text[len("file://") :]
        if "://" in text:
            from cluster.remote_store import RemoteStore

            self._remote: RemoteStore | None = RemoteStore(text)
            self._store: LocalDisk | RemoteStore = self._remote
        else:
            self._remote = None
            self._store = LocalDisk(Path(text).expanduser().absolute())
        self.url = self._store.url

    def __repr__(self) -> str:
        return f"Storage({self.url!r})"

    @property
    def is_local(self) -> bool:
        """True when names are files on this machine's file system."""
        return self._remote is None

    def path(self, name: str) -> Path:
        """The local path of a name. Only on a local root."""
        assert self.is_local, "a remote root has no paths"
        return Path(self.url) / _checked(name)

    def read(self, name: str) -> bytes:
        """All bytes of a name. Raises FileNotFoundError."""
        return self._store.read(_checked(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of a name, 16 MiB at a time. Raises FileNotFoundError."""
        return self._store.pieces(_checked(name))

    def write(self, name: str, data: bytes) -> None:
        """Put bytes under a name, whole or not at all, replacing what stood there."""
        self._store.write(_checked(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Put bytes under a name that must not exist yet; False (and no change) when it does.

        On a remote root the same bytes under the name count as ours: a write whose answer was
        lost looks like that.
        """
        return self._store.create(_checked(name), data)

    def copy(self, source: str, target: str) -> None:
        """Put what stands under one name under another too, replacing what stood there.

        A hard link where a local disk allows it; on a remote root the storage copies by itself.
        Raises FileNotFoundError.
        """
        self._store.copy(_checked(source), _checked(target))

    def size(self, name: str) -> int | None:
        """Bytes under a name, or None when there is nothing."""
        return self._store.size(_checked(name))

    def sizes(self, folder: str) -> dict[str, int]:
        """Name inside the folder -> bytes, of every file below it; one request a thousand files."""
        return self._store.sizes(_checked(folder))

    def exists(self, name: str) -> bool:
        """True when a file or folder stands under the name."""
        return self._store.exists(_checked(name))

    def list(self, folder: str) -> list[str]:
        """Sorted names directly inside a folder; empty when it does not exist."""
        return sorted(self._store.list(_checked(folder)))

    def walk(self, folder: str) -> Iterator[str]:
        """Every file name below a folder, as a name relative to the root, sorted."""
        folder = _checked(folder)
        for name in sorted(self._store.sizes(folder)):
            yield f"{folder}/{name}"

    def remove(self, name: str) -> None:
        """Delete a file or a whole folder; nothing happens when it is not there.

        Raises:
            SurroundingsError: it cannot be deleted; some of a folder may be gone.
        """
        self._store.remove(_checked(name))

    def upload(self, local: Path, name: str) -> None:
        """Copy a local file under a name (remote roots), whole or not at all."""
        assert self._remote is not None, "on a local root files are written where they belong"
        self._remote.upload(local, _checked(name))

    def download(self, name: str, local: Path) -> None:
        """Copy a name to a local file (remote roots). Raises FileNotFoundError."""
        assert self._remote is not None, "on a local root files are read where they are"
        self._remote.download(_checked(name), local)

    def require_writable(self) -> None:
        """See that the root can be written, and on a remote one that `create` is create-only.

        Raises:
            UserError: it cannot be written, or a record could be written over.
            SurroundingsError: a remote root is not there, or does not let us in.
        """
        if self._remote is not None:
            reason = self._remote.fault_of_create()
            if reason is None:
                return
            raise UserError(
                "this storage does not keep a write that must not replace anything "
                f"(If-None-Match) from replacing something: {reason}; "
                "two launches could both publish one job",
                where=self.url,
                hint="choose a storage with conditional writes, or a local path, with --root",
            )
        self._require_writable_disk()

    def _require_writable_disk(self) -> None:
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            self.write(probe, b"deltascale")
        except (OSError, SurroundingsError) as error:
            reason = error.error if isinstance(error, SurroundingsError) else error
            raise UserError(
                f"the output root cannot be written: {reason}",
                where=self.url,
                hint="choose another with --root, or free the disk",
            ) from error
        finally:
            with contextlib.suppress(SurroundingsError):
                self.remove(probe)


def _checked(name: str) -> str:
    if _UNUSUAL.isdisjoint(name.split("/")):
        return name
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise UserError(f"the name {name!r} would leave the output root")
    return "/".join(parts)
