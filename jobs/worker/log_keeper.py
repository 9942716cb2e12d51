"""The process that writes the log of a worker's attempts: what is in the pipe outlives the worker.

One keeper serves all attempts of a worker, one after the other. It is told over a socket, in lines
of JSON, with the pipe's end as a descriptor beside the line that opens a log, or the logs of
attempts that take turns (`log_turns.py`); secrets come the same way, never in its environment or
command line. It ends when worker and pipes are gone.
"""

import json
import os
import select
import selectors
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.machine.asking_signals import ignore_all
from cluster.redaction.redactor import Redactor
from jobs.worker.last_witness import LOOK_EVERY_S, Witness
from jobs.worker.log_file import LogFile
from jobs.worker.log_lines import LogLines
from jobs.worker.log_turns import Mark, Turns

_READ_BYTES = 1 << 16
_GATHERED_S = 0.02
"""How long what short jobs write may wait for more of it: to be woken costs more than to write it.
A pipe holds what comes meanwhile, and outlives who wrote it."""
_LAST_LOOKS_S = 10.0
"""How long a worker may take to be gone once all that it wrote was read."""
_LAST_WORDS_S = 1.0
"""How long to read what a worker that died has written: what it started may write for ever."""
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

    def take(self, data: bytes) -> None:
        self.lines.take(data)

    def finish(self) -> None:
        self.lines.finish()


class _TurnsStream:
    """The pipe of attempts that follow one another, and the log of the one at hand."""

    def __init__(self, keeper: "_Keeper", descriptor: int, prefix: str) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor, self.is_over = descriptor, False
        self._keeper = keeper
        self._turns = Turns(prefix, self._take, self._obey)
        self._lines: LogLines | None = None
        self.is_slow = True
        """Whether the last bytes left most of the pipe empty."""

    def take(self, data: bytes) -> None:
        self.is_slow = len(data) < _READ_BYTES // 4
        self._turns.take(data)

    def finish(self) -> None:
        self._turns.finish()
        if self._lines is not None:
            self._lines.finish()

    def _take(self, data: bytes) -> None:
        if self._lines is not None:
            self._lines.take(data)

    def _obey(self, mark: Mark) -> None:
        keeper = self._keeper
        if mark.add_to:
            LogFile(Path(mark.add_to), is_made=True).write(keeper.redact(mark.text).encode())
            return
        if self._lines is not None:
            self._lines.finish()
        if mark.is_end:
            keeper.witness.end()
            return
        self._lines = LogLines(
            LogFile(Path(mark.log), is_made=True).write,
            lambda text: keeper.redact(text),
            lambda: keeper.redact.longest,
        )
        keeper.witness.begin(mark.log)


class _Keeper:
    """Reads pipes and writes logs until nobody can write any more."""

    def __init__(self, control: socket.socket, witness: Witness) -> None:
        self.redact = Redactor({})
        self._secrets: dict[str, str] = {}
        self._control = control
        self._control.setblocking(False)
        self._words, self._descriptors = b"", list[int]()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._current: _Stream | _TurnsStream | None = None
        self.witness = witness
        self._orders = deque[dict[str, Any]]()
        self._is_told = True

    def run(self) -> None:
        while self._selector.get_map():
            # A time limit only while an attempt is made: between attempts nothing is to be seen.
            for key, _ in self._selector.select(LOOK_EVERY_S if self.witness.is_watching else None):
                if key.fileobj is self._control:
                    self._listen()
                else:
                    self._read(key.data)
            while self._orders:
                self._obey(self._orders.popleft())
            self._watch()
            self._let_gather()
        until = time.monotonic() + _LAST_LOOKS_S
        while self.witness.is_watching and time.monotonic() < until:
            self._watch()  # the kernel closes what a process had before it is gone
            time.sleep(0.01)

    def _let_gather(self) -> None:
        """Leave what short jobs write in its pipe for a moment, unless the worker has a word."""
        stream = self._current
        if isinstance(stream, _TurnsStream) and not stream.is_over and stream.is_slow:
            select.select([self._control] if self._is_told else [], [], [], _GATHERED_S)

    def _watch(self) -> None:
        """Look after the worker while it makes an attempt."""
        if self.witness.is_watching:
            until = time.monotonic() + _LAST_WORDS_S
            while self.witness.is_dead and self._current and time.monotonic() < until:
                if not self._read(self._current):  # its last words go with what is seen
                    break
            with suppress(OSError):  # a disk that is full or gone keeps no testimony
                self.witness.look()

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
            self._begin(_Stream(self, self._descriptors.pop(0), path))
            self.witness.begin(path, order.get("way"))
        elif prefix := order.get("turns"):
            self._begin(_TurnsStream(self, self._descriptors.pop(0), prefix))
        elif (number := order.get("close")) and self._current is not None:
            until = time.monotonic() + _CLOSING_S
            while self._read(self._current) and time.monotonic() < until:
                pass
            self._current.finish()
            self.witness.end()
            with suppress(OSError):
                self._control.send(b"%d\n" % number)

    def _begin(self, stream: _Stream | _TurnsStream) -> None:
        self._current = stream
        self._selector.register(stream.descriptor, selectors.EVENT_READ, stream)

    def _read(self, stream: _Stream | _TurnsStream) -> bool:
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
            stream.finish()
            return False
        self._listen()  # what was told before these bytes were written counts for them
        stream.take(data)
        return True


def main(descriptor: int, worker: int) -> None:
    """Keep the logs of a worker, a process by this number, at the other end of a socket."""
    ignore_all()  # it ends after its worker, with the last words
    _Keeper(socket.socket(fileno=descriptor), Witness(worker)).run()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
