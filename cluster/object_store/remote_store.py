"""`RemoteStore`: the methods of `Storage` for an fsspec URL (`s3://bucket/folder`, `memory://…`).

One PUT, or one multipart upload that is completed at its end, makes an object visible: there is
never half of one. `create` is that PUT with `If-None-Match: *`, read back and compared.
"""

import contextlib
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from cluster.errors import SurroundingsError
from cluster.fault_points import fault_point
from cluster.object_store.remote_answers import OF_CREDENTIALS
from cluster.object_store.remote_deletion import delete_objects
from cluster.object_store.remote_faults import code_of, remote_faults
from cluster.object_store.remote_options import (
    PART_BYTES,
    open_remote,
    transfer_options,
    whole_read_options,
)
from cluster.survey import Survey

_CONFLICT_TRIES = 6
_NOT_CONDITIONAL = frozenset({"NotImplemented", "501", "InvalidArgument", "InvalidRequest"})
"""Answers of stores that do not support conditional requests."""
_CHANGED = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
"""Answers to a conditional request when another writer came first."""


class RemoteStore:
    """A root that is a prefix of an object store. `Storage` has checked the names."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._fs, prefix = open_remote(url)
        self._prefix = prefix.rstrip("/") + "/"
        protocol = self._fs.protocol
        self._protocol: str = protocol if isinstance(protocol, str) else protocol[0]

    def _key(self, name: str) -> str:
        return self._prefix + name

    @contextlib.contextmanager
    def _faults(self, doing: str) -> Iterator[None]:
        """Turn faults into SurroundingsErrors; after one of credentials, have them read again.

        A process keeps those that it has found once, and a file of them may be written anew every
        hour.
        """
        try:
            with remote_faults(self.url, doing):
                yield
        except SurroundingsError as fault:
            if self._protocol == "s3" and code_of(fault) in OF_CREDENTIALS:
                with contextlib.suppress(SurroundingsError), remote_faults(self.url, "connect"):
                    self._fs.connect(refresh=True)
            raise

    def read(self, name: str) -> bytes:
        """Return all bytes of a name. Raises FileNotFoundError."""
        with self._faults(f"read {name}"):
            fault_point("read", file=name)
            options = whole_read_options(self._protocol)
            data: bytes = self._fs.cat_file(self._key(name), **options)
            return data

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a name, 16 MiB at a time. Raises FileNotFoundError."""
        size = self.size(name)
        if size is None:
            raise FileNotFoundError(name)
        for start in range(0, size, PART_BYTES):
            with self._faults(f"read {name}"):
                fault_point("read", file=name)
                end = min(size, start + PART_BYTES)
                piece: bytes = self._fs.cat_file(self._key(name), start=start, end=end)
            yield piece

    def write(self, name: str, data: bytes) -> None:
        """Write bytes under a name, whole or not at all."""
        with self._faults(f"write {name}"):
            fault_point("write", file=name)
            self._fs.pipe_file(self._key(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Write bytes under a name that must not exist yet; return False when it held other bytes.

        The object is read back in any case: a first try may have succeeded although its answer
        was lost, and a store that checks and writes in two steps lets two writers pass.
        """
        with self._faults(f"create {name}"), contextlib.suppress(FileExistsError):
            fault_point("write", file=name)
            self._create(name, data)
        try:
            return self.read(name) == data
        except FileNotFoundError:
            return False  # another writer was first, and has removed it meanwhile

    def _create(self, name: str, data: bytes) -> None:
        for number in range(_CONFLICT_TRIES):
            try:
                self._fs.pipe_file(self._key(name), data, mode="create")
            except OSError as error:
                # Two conditional writes at the same moment: S3 asks one of them to try again.
                is_conflict = code_of(error) in ("ConditionalRequestConflict", "409")
                if not is_conflict or number == _CONFLICT_TRIES - 1:
                    raise
                time.sleep(0.1 * 2**number)
            else:
                return

    def fault_of_create(self) -> str | None:
        """Try `create`, and return why it may overwrite here; None when it does not."""
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            won = self.create(probe, b"first")
            lost = not self.create(probe, b"second")
        except (TypeError, ValueError, NotImplementedError):
            return "it does not support such a write"
        except SurroundingsError as fault:
            if code_of(fault) not in _NOT_CONDITIONAL:
                raise
            self.write(probe, b"first")  # else it takes no write at all, which has another cause
            return f"it answers {code_of(fault)}"
        finally:
            with contextlib.suppress(SurroundingsError):
                self.remove(probe)
        return None if won and lost else "it overwrote an object"

    def copy(self, source: str, target: str) -> None:
        """Let the store copy a file. Raises FileNotFoundError."""
        with self._faults(f"copy {source}"):
            self._fs.cp_file(self._key(source), self._key(target))

    def size(self, name: str) -> int | None:
        """Return the number of bytes under a name, or None when there is nothing."""
        with self._faults(f"look for {name}"):
            try:
                info = self._fs.info(self._key(name))
            except FileNotFoundError as error:
                if code_of(error) == "NoSuchBucket":
                    raise
                return None
        return None if info["type"] == "directory" else int(info["size"])

    def move(self, source: str, target: str) -> None:
        """Copy a file or every file of a folder, then delete it under its old name."""
        names = [f"/{name}" for name in self.survey(source).sizes] or [""]
        for name in names:
            self.copy(source + name, target + name)
        self.remove(source)

    def survey(self, folder: str) -> Survey:
        """Return the files below a folder, in one listing; an object store holds nothing else."""
        prefix = f"{self._key(folder)}/"
        with self._faults(f"list {folder}"):
            infos = self._fs.find(self._key(folder), detail=True)
        sizes = {
            name[len(prefix) :]: int(info["size"])
            for name, info in infos.items()
            if name.startswith(prefix) and not name.endswith("/")
        }
        return Survey(sizes=sizes)

    def exists(self, name: str) -> bool:
        """Return True when the name is a file or a folder."""
        with self._faults(f"look for {name}"):
            return bool(self._fs.exists(self._key(name)))

    def list(self, folder: str) -> list[str]:
        """Return the names directly inside a folder."""
        prefix = f"{self._key(folder)}/"
        with self._faults(f"list {folder}"):
            try:
                entries = self._fs.ls(self._key(folder), detail=False)
            except (FileNotFoundError, NotADirectoryError) as error:
                if code_of(error) == "NoSuchBucket":
                    raise
                return []
        names = (entry.rstrip("/") + "/" for entry in entries)
        return [
            name[len(prefix) : -1] for name in names if name.startswith(prefix) and name != prefix
        ]

    def remove(self, name: str) -> None:
        """Delete a file or a whole folder."""
        with self._faults(f"delete {name}"), contextlib.suppress(FileNotFoundError):
            if self._protocol == "s3":
                delete_objects(self._fs, list(self._fs.find(self._key(name))))
            else:
                self._fs.rm(self._key(name), recursive=True)

    def remove_only(self, name: str, data: bytes) -> bool:
        """Delete an object while it holds these bytes; return True when it was deleted."""
        with self._faults(f"delete {name}"):
            try:
                if self._protocol != "s3":
                    is_same = bool(self._fs.cat_file(self._key(name)) == data)
                    if is_same:
                        self._fs.rm_file(self._key(name))
                    return is_same
                return self._remove_s3_object(self._key(name), data)
            except FileNotFoundError as error:
                if code_of(error) == "NoSuchBucket":
                    raise
                return False

    def _remove_s3_object(self, key: str, data: bytes) -> bool:
        bucket, path, _ = self._fs.split_path(key)
        etag = self._fs.info(key)["ETag"]
        # The tag was read first: when the bytes read after it are the same, it is their tag.
        if self._fs.cat_file(key, **whole_read_options(self._protocol)) != data:
            return False
        try:
            self._fs.call_s3("delete_object", Bucket=bucket, Key=path, IfMatch=etag)
        except Exception as error:
            if code_of(error) in _CHANGED:
                return False
            if code_of(error) not in _NOT_CONDITIONAL:
                raise
            self._fs.call_s3("delete_object", Bucket=bucket, Key=path)
        return True

    def age_s(self, name: str) -> float | None:
        """Return the seconds since an object was written, by the storage's own clock."""
        key = self._key(name)
        with self._faults(f"look for {name}"):
            if self._protocol == "memory":
                now, written = datetime.now(UTC), self._fs.modified(key)
            elif self._protocol == "s3":
                self._fs.info(key)  # raises FileNotFoundError, which a bare HEAD does not
                bucket, path, _ = self._fs.split_path(key)
                answer = self._fs.call_s3("head_object", Bucket=bucket, Key=path)
                date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
                if date is None:
                    return None
                now, written = parsedate_to_datetime(date), answer["LastModified"]
            else:
                return None
        age: timedelta = now - written
        return age.total_seconds()

    def upload(self, local: Path, name: str) -> None:
        """Copy a local file under a name, whole or not at all."""
        options = transfer_options(self._protocol, local.stat().st_size)
        with self._faults(f"upload {name}"):
            fault_point("write", file=name)
            self._fs.put_file(str(local), self._key(name), **options)

    def download(self, name: str, local: Path) -> None:
        """Copy a name to a local file. Raises FileNotFoundError."""
        local.parent.mkdir(parents=True, exist_ok=True)
        with self._faults(f"download {name}"):
            fault_point("read", file=name)
            options = transfer_options(self._protocol, 0)
            self._fs.get_file(self._key(name), str(local), **options)
