"""A job's log file: what it prints and logs, with secrets taken out before they are written."""

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from cluster.redaction.redactor import redacted


class _Redacting(io.TextIOBase):
    """Writes whole lines to a stream, redacted."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        for line in lines:
            self._stream.write(redacted(line) + "\n")
        self._stream.flush()
        return len(text)

    def finish(self) -> None:
        """Write what is left after the last line break."""
        if self._rest:
            self.write("\n")


@contextlib.contextmanager
def captured(path: Path) -> Iterator[None]:
    """Send stdout, stderr and log records of this process to a file while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as stream:
        sink = _Redacting(stream)
        handler = logging.StreamHandler(sink)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
                yield
        finally:
            root.removeHandler(handler)
            sink.finish()
            sys.stdout.flush()
