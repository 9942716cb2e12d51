"""A job's log file: what it prints and logs, with secrets taken out before they are written."""

import contextlib
import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASS|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIAL|AUTH(?!OR)|SIGNATURE",
    re.IGNORECASE,
)
CREDENTIALS_IN_URL = re.compile(
    r"(\w+://)(?:"
    # user:password@, where the password may hold a slash; a port is none.
    r"[^/\s:@\"']*:(?!\d{1,5}(?:[/?#\s]|$))[^\s@\"']*@"
    # token@; in `hf://` an @ begins a revision, and `git@` is everybody's name.
    r"|(?<!hf://)(?!git@)[^/\s:@?#\"']+@)"
)
"""Names and passwords before the host of a URL; the first group is its scheme."""
SECRET_IN_QUERY = re.compile(
    r"([?&](?:token|(?:access|auth)[-_]?token|key|(?:api|access|secret)[-_]?key|sig|signature"
    r"|x-(?:amz|goog)-(?:signature|credential|security-token)|password|secret|client[-_]?secret)=)"
    r"[^&#\s\"']+",
    re.IGNORECASE,
)
"""Parameters of a URL that give access; the first group is all but the value."""
_SHORTEST_SECRET = 6


def redacted(text: str) -> str:
    """Remove values of secret environment variables and credentials in URLs from a text."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, f"<{name}>")
    text = CREDENTIALS_IN_URL.sub(r"\1<credentials>@", text)
    return SECRET_IN_QUERY.sub(r"\1<secret>", text)


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
