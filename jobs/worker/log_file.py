"""`LogFile`: a log that keeps its beginning and its end, however much is written to it."""

import os
from contextlib import suppress
from pathlib import Path

_HEAD_BYTES = 4 << 20
_TAIL_BYTES = 4 << 20
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC


class LogFile:
    """Appends to a file; above twice its tail it takes out the middle, and says how much.

    Bytes are with the system when `write` returns. A disk that takes none loses what it was given,
    and the next line that it takes says how much. Between writes the file is not open: whoever
    looks for the process at an attempt finds the worker alone.
    """

    def __init__(
        self,
        path: Path,
        *,
        head_bytes: int = _HEAD_BYTES,
        tail_bytes: int = _TAIL_BYTES,
        is_made: bool = False,
    ) -> None:
        self._path, self._most_head, self._tail_bytes = path, head_bytes, tail_bytes
        self._head_bytes: int | None = None
        self._num_left_out = self._num_lost = 0
        if is_made:
            return
        with suppress(OSError):  # a job goes on without its log
            os.close(os.open(path, _FLAGS | os.O_CREAT, 0o666))

    def write(self, data: bytes) -> None:
        """Append."""
        try:
            descriptor = os.open(self._path, _FLAGS)
            try:
                if self._num_lost:
                    note = b"\n[... %d bytes were lost: the disk took none]\n" % self._num_lost
                    _append(descriptor, note)
                    self._num_lost = 0
                _append(descriptor, data)
                size = os.fstat(descriptor).st_size
                if size > self._most_head + 2 * self._tail_bytes:
                    self._leave_out_middle(descriptor, size)
            finally:
                os.close(descriptor)
        except OSError:
            self._num_lost += len(data)

    def _leave_out_middle(self, descriptor: int, size: int) -> None:
        """Write the last bytes after the first ones; amortised, each byte is written twice."""
        if self._head_bytes is None:
            head = os.pread(descriptor, self._most_head, 0)
            self._head_bytes = (head.rfind(b"\n") + 1) or len(head)
        start = size - self._tail_bytes
        tail = os.pread(descriptor, self._tail_bytes, start)
        after_line = tail.find(b"\n") + 1
        start, tail = start + after_line, tail[after_line:]
        self._num_left_out += start - self._head_bytes
        os.ftruncate(descriptor, self._head_bytes)
        _append(descriptor, b"[... %d bytes of this log were left out here]\n" % self._num_left_out)
        _append(descriptor, tail)


def _append(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
