"""`DurableLines`: lines that one writer adds to, on a disk or an object storage, and never loses.

Lines wait in memory, in order, until the storage has them for sure. After a fault, everything since
the last moment that is known to be on disk is written again, at the place where it belongs: a write
that reached the disk in part, or that a failed `fsync` took back, leaves no trace.
"""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from typing import IO

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass, class_of_os_error
from cluster.fault_points import fault_point
from cluster.storage import Storage

_LONGEST_LINE = 1 << 20
"""Bytes of a line; no event is longer, and a damaged file may be one line of any size."""
_SYNC_EVERY_S = 1.0
_PART_BYTES = 256 * 1024
"""Size of one object of a remote root: about 1,000 events, so 10,000 jobs are ten requests."""
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})
"""What file systems without `fsync` answer."""


class FileLines:
    """Lines in one file of a local root, `NAME.jsonl`, appended in batches."""

    def __init__(
        self, storage: Storage, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Open the file, or create it. Raises SurroundingsError when it cannot be."""
        self._name = f"{name}.jsonl"
        self._path = storage.path(self._name)
        self._clock = clock
        self._descriptor: int | None = None
        self._is_made = False
        self._unsynced = bytearray()
        self._num_written = 0
        """Of those that are not synced."""
        self._synced_at = -_SYNC_EVERY_S
        with self._faults():
            self._num_synced = os.fstat(self._open()).st_size

    @property
    def has_unwritten(self) -> bool:
        """True while some line is in memory alone."""
        return self._num_written < len(self._unsynced)

    def append(self, line: str) -> None:
        """Add a line, to be written at the next flush."""
        self._unsynced += line.encode() + b"\n"

    def flush(self) -> None:
        """Write the added lines; they are on disk at most a second later, or at `close`."""
        with self._faults():
            self._write()
            if self._unsynced and self._clock() - self._synced_at >= _SYNC_EVERY_S:
                self._sync()

    def close(self) -> None:
        """Write all lines for sure, and close the file."""
        with self._faults():
            self._write()
            self._sync()
        self._let_go()

    def _write(self) -> None:
        if self.has_unwritten:
            fault_point("write", file=self._name)
            fault_point("append", file=self._name, tear=self._write_half)
        while self.has_unwritten:
            self._write_some(len(self._unsynced))

    def _write_half(self) -> None:
        self._write_some((self._num_written + len(self._unsynced)) // 2)

    def _write_some(self, end: int) -> None:
        self._num_written += os.pwrite(
            self._open(),
            self._unsynced[self._num_written : end],
            self._num_synced + self._num_written,
        )

    def _sync(self) -> None:
        try:
            os.fsync(self._open())
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise
        self._num_synced += self._num_written
        del self._unsynced[: self._num_written]
        self._num_written, self._synced_at = 0, self._clock()

    def _open(self) -> int:
        if self._descriptor is None:
            if not self._is_made:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            # Where the file is not seen any more its file system is away: what lies beneath where
            # that was mounted is not written to.
            creates = 0 if self._is_made else os.O_CREAT
            self._descriptor = os.open(self._path, os.O_WRONLY | creates, 0o666)
            self._is_made = True
        return self._descriptor

    def _let_go(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        self._descriptor = None

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # The file is opened anew: its handle may be stale, and what is not synced may be gone.
            self._let_go()
            self._num_written = 0
            raise SurroundingsError(
                f"cannot write: {error.strerror or error}",
                where=str(self._path),
                fault_class=FaultClass.STORAGE_AWAY
                if self._is_made and isinstance(error, FileNotFoundError | NotADirectoryError)
                else class_of_os_error(error),
            ) from error


class ObjectLines:
    """Lines in objects of a remote root, `NAME.000000.jsonl` and so on, which cannot grow.

    The newest is written again, whole, until it is large enough for the next one to begin.
    """

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._name = name
        self._part = bytearray()
        folder, _, stem = name.rpartition("/")
        self._num_parts = sum(entry.startswith(f"{stem}.") for entry in storage.list(folder))
        self.has_unwritten = False

    def append(self, line: str) -> None:
        """Add a line, to be written at the next flush."""
        self._part += line.encode() + b"\n"
        self.has_unwritten = True

    def flush(self) -> None:
        """Write the added lines. Raises SurroundingsError where the storage does not take them."""
        if not self.has_unwritten:
            return
        self._storage.write(f"{self._name}.{self._num_parts:06d}.jsonl", bytes(self._part))
        self.has_unwritten = False
        if len(self._part) >= _PART_BYTES:
            self._part, self._num_parts = bytearray(), self._num_parts + 1

    def close(self) -> None:
        """Write all lines."""
        self.flush()


def lines_of(storage: Storage, name: str) -> Iterator[bytes]:
    """Yield the lines of one file of a ledger."""
    if storage.is_local:
        with storage.open(name) as stream:
            yield from short_lines(stream)
    else:
        yield from storage.read(name).splitlines(keepends=True)


def short_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield lines; of one that is longer than any event, its first part."""
    while line := stream.readline(_LONGEST_LINE):
        if len(line) < _LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        while (rest := stream.readline(_LONGEST_LINE)) and not rest.endswith(b"\n"):
            pass
        yield line + b"\n"
