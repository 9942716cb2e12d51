"""`Storage`: the few verbs over bytes that the house needs, on any fsspec URL.

Names are relative, use `/`, and never leave the root. On a local disk a write is a temporary file
beside the target, flush, fsync, rename, fsync of the folder; `create` is create-only everywhere,
so of two writers exactly one wins.
"""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from cluster.errors import SurroundingsError, UserError

_UNUSUAL = frozenset({"", ".", ".."})
"""Parts of a name that need a closer look."""


class Storage:
    """One root: a local path, `memory://…`, or another fsspec URL such as `s3://bucket/folder`."""

    def __init__(self, url: str | os.PathLike[str]) -> None:
        text = os.fspath(url)
        if text.startswith("file://"):
            text = text[len("file://") :]
        self._root: Path | None = None
        self._fs: Any = None
        if "://" not in text:
            self._root = Path(text).expanduser().absolute()
            self.url = str(self._root)
            return
        import fsspec

        try:
            self._fs, self._prefix = fsspec.core.url_to_fs(text)
        except (ImportError, ValueError) as error:
            raise UserError(f"cannot open storage {text!r}: {error}", where="--root") from error
        self.url = text.rstrip("/")

    def __repr__(self) -> str:
        return f"Storage({self.url!r})"

    @property
    def is_local(self) -> bool:
        """True when names are files on this machine's file system."""
        return self._root is not None

    def path(self, name: str) -> Path:
        """The local path of a name. Only on a local root."""
        assert self._root is not None, "a remote root has no paths"
        return self._root / _checked(name)

    def _place(self, name: str) -> str:
        """`path` as text: reading 10,000 records makes no Path objects."""
        return f"{self.url}/{_checked(name)}"

    def _key(self, name: str) -> str:
        return f"{self._prefix.rstrip('/')}/{_checked(name)}"

    def read(self, name: str) -> bytes:
        """All bytes of a name. Raises FileNotFoundError."""
        if self._root is not None:
            try:
                with open(self._place(name), "rb") as stream:
                    return stream.read()
            except NotADirectoryError as error:
                raise FileNotFoundError(*error.args) from error
        data: bytes = self._fs.cat_file(self._key(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        """Put bytes under a name, whole or not at all, replacing what stood there."""
        with _storage_faults(self.url):
            if self._root is not None:
                path = self.path(name)
                os.replace(_durable_temporary(path, data), path)
                _sync_folder(path.parent)
            else:
                self._fs.pipe_file(self._key(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Put bytes under a name that must not exist yet; False (and no change) when it does."""
        with _storage_faults(self.url):
            if self._root is not None:
                path = self.path(name)
                temporary = _durable_temporary(path, data)
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    return False
                finally:
                    os.unlink(temporary)
                _sync_folder(path.parent)
                return True
            try:
                self._fs.pipe_file(self._key(name), data, mode="create")
            except FileExistsError:
                return False
            return self.read(name) == data

    def size(self, name: str) -> int | None:
        """Bytes under a name, or None when there is nothing."""
        try:
            if self._root is not None:
                return os.stat(self._place(name)).st_size
            found: int = self._fs.info(self._key(name))["size"]
            return found
        except (FileNotFoundError, NotADirectoryError):
            return None

    def exists(self, name: str) -> bool:
        """True when a file or folder stands under the name."""
        if self._root is not None:
            return os.path.exists(self._place(name))
        found: bool = self._fs.exists(self._key(name))
        return found

    def list(self, folder: str) -> list[str]:
        """Sorted names directly inside a folder; empty when it does not exist."""
        try:
            if self._root is not None:
                return sorted(
                    entry for entry in os.listdir(self.path(folder)) if ".tmp-" not in entry
                )
            self._fs.invalidate_cache()
            listed = self._fs.ls(self._key(folder), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError as error:
            raise SurroundingsError(
                f"the folder {folder!r} may not be read", where=self.url
            ) from error
        return sorted(entry.rstrip("/").rsplit("/", 1)[-1] for entry in listed)

    def walk(self, folder: str) -> Iterator[str]:
        """Every file name below a folder, as a name relative to the root, sorted."""
        if self._root is not None:
            for path in sorted(self.path(folder).rglob("*")):
                if path.is_file():
                    yield path.relative_to(self._root).as_posix()
            return
        prefix = self._prefix.rstrip("/") + "/"
        for found in sorted(self._fs.find(self._key(folder))):
            yield found[found.index(prefix) + len(prefix) :]

    def remove(self, name: str) -> None:
        """Delete a file or a whole folder; nothing happens when it is not there.

        Raises:
            SurroundingsError: it cannot be deleted; some of a folder may be gone.
        """
        try:
            if self._root is None:
                self._fs.rm(self._key(name), recursive=True)
                return
            path = self.path(name)
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

    def upload(self, local: Path, name: str) -> None:
        """Copy a local file under a name (remote roots)."""
        with _storage_faults(self.url):
            self._fs.put_file(str(local), self._key(name))

    def download(self, name: str, local: Path) -> None:
        """Copy a name to a local file (remote roots)."""
        local.parent.mkdir(parents=True, exist_ok=True)
        self._fs.get_file(self._key(name), str(local))

    def require_writable(self) -> None:
        """Raise UserError unless a small file can be written and removed under the root."""
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


def _durable_temporary(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp-{uuid.uuid4().hex[:8]}")
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
        # What somebody else deletes meanwhile needs no deleting; the rest still does.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _storage_faults(url: str) -> Iterator[None]:
    """A full or read-only disk is the machine's fault, and says so in one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise SurroundingsError(f"cannot write: {error.strerror}", where=url) from error
        raise
