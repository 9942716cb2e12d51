"""The process that writes the log of a worker's attempts: what is in the pipe outlives the worker.

One keeper serves all attempts of a worker, one after the other. It is told over a socket, in lines
of JSON, with the pipe's end as a descriptor beside the line that opens a log; secrets come the same
way, never in its environment or command line. It ends when worker and pipes are gone.
"""

import json
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.redaction.redactor import Redactor
from jobs.worker.log_file import LogFile
from jobs.worker.log_lines import LogLines

_READ_BYTES = 1 << 16
_CLOSING_S = 20.0
"""How long to read at the end of an attempt: a process that it left behind may write for ever."""


class _Stream:
    """One attempt's pipe and its log."""

    def __init__(self, keeper: "_Keeper", descriptor: int, path: str) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor, self.is_over = descriptor, False
        self.file = LogFile(Path(path))
        self.lines = LogLines(
            self.file.write, lambda text: keeper.redact(text), lambda: keeper.redact.longest
        )


class _Keeper:
    """Reads pipes and writes logs until nobody can write any more."""

    def __init__(self, control: socket.socket) -> None:
        self.redact = Redactor({})
        self._secrets: dict[str, str] = {}
        self._control = control
        self._control.setblocking(False)
        self._words, self._descriptors = b"", list[int]()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._current: _Stream | None = None
        self._orders = deque[dict[str, Any]]()
        self._is_told = True

    def run(self) -> None:
        while self._selector.get_map():
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    self._listen()
                else:
                    self._read(key.data)
            while self._orders:
                self._obey(self._orders.popleft())

    def _listen(self) -> None:
        """Hear what the worker has told so far: secrets count at once, orders wait their turn."""
        while self._is_told:
            try:
                words, descriptors, *_ = socket.recv_fds(self._control, _READ_BYTES, 4)
            except BlockingIOError:
                return
            except OSError:
                words, descriptors = b"", []
            if not words:
                self._is_told = False
                self._selector.unregister(self._control)
                return
            self._descriptors += descriptors
            *lines, self._words = (self._words + words).split(b"\n")
            for order in map(json.loads, lines):
                secrets = order.pop("secrets", {})
                if not secrets.items() <= self._secrets.items():
                    self._secrets.update(secrets)
                    self.redact = Redactor(self._secrets)
                self._orders.append(order)

    def _obey(self, order: dict[str, Any]) -> None:
        if path := order.get("open"):
            self._current = _Stream(self, self._descriptors.pop(0), path)
            self._selector.register(self._current.descriptor, selectors.EVENT_READ, self._current)
        elif (number := order.get("close")) and self._current is not None:
            until = time.monotonic() + _CLOSING_S
            while self._read(self._current) and time.monotonic() < until:
                pass
            self._current.lines.finish()
            with suppress(OSError):
                self._control.send(b"%d\n" % number)

    def _read(self, stream: _Stream) -> bool:
        """Take what is in a pipe; False when there is nothing now, or ever."""
        if stream.is_over:
            return False
        try:
            data = os.read(stream.descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            stream.is_over = True
            self._selector.unregister(stream.descriptor)
            os.close(stream.descriptor)
            stream.lines.finish()
            return False
        self._listen()  # what was told before these bytes were written counts for them
        stream.lines.take(data)
        return True


def main(descriptor: int) -> None:
    """Keep the logs of the worker at the other end of a socket."""
    for name in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # it ends after its worker, with the last words
    _Keeper(socket.socket(fileno=descriptor)).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
