"""`LogFile`: a log that keeps its beginning and its end, however much is written to it."""

import os
from pathlib import Path

_HEAD_BYTES = 4 << 20
_TAIL_BYTES = 4 << 20


class LogFile:
    """Appends to a file; above twice its tail it takes out the middle, and says how much.

    Bytes are with the system when `write` returns. A disk that takes none loses what it was given,
    and the next line that it takes says how much.
    """

    def __init__(
        self, path: Path, *, head_bytes: int = _HEAD_BYTES, tail_bytes: int = _TAIL_BYTES
    ) -> None:
        self._path, self._most_head, self._tail_bytes = path, head_bytes, tail_bytes
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags, 0o666)
        except OSError:  # a job goes on without its log
            self._descriptor = os.open(os.devnull, flags)
        self._size = os.fstat(self._descriptor).st_size
        self._head_bytes: int | None = None
        self._num_left_out = self._num_lost = 0

    def write(self, data: bytes) -> None:
        """Append."""
        try:
            if self._num_lost:
                self._append(b"\n[... %d bytes were lost: the disk took none]\n" % self._num_lost)
                self._num_lost = 0
            self._append(data)
            if self._size > self._most_head + 2 * self._tail_bytes:
                self._leave_out_middle()
        except OSError:
            self._num_lost += len(data)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            self._size += written
            view = view[written:]

    def _leave_out_middle(self) -> None:
        """Write the last bytes after the first ones; amortised, each byte is written twice."""
        if self._head_bytes is None:
            head = os.pread(self._descriptor, self._most_head, 0)
            self._head_bytes = (head.rfind(b"\n") + 1) or len(head)
        start = self._size - self._tail_bytes
        tail = os.pread(self._descriptor, self._tail_bytes, start)
        after_line = tail.find(b"\n") + 1
        start, tail = start + after_line, tail[after_line:]
        self._num_left_out += start - self._head_bytes
        os.ftruncate(self._descriptor, self._head_bytes)
        self._size = self._head_bytes
        self._append(b"[... %d bytes of this log were left out here]\n" % self._num_left_out)
        self._append(tail)
