"""To whose log do the bytes of a pipe belong, where short jobs write to one, each in its turn?

Marks among the bytes say so. They begin with what nobody else can write, a secret of the pipe, and
each is written at once: threads may add to the log of an earlier job between what the job at hand
writes, which stays in its order, and what a worker wrote before it died is where it belongs.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_LONGEST_MARK = 4096
"""PIPE_BUF of Linux: so many bytes are written to a pipe at once, or not at all."""
_LONGEST_PIECE = 600
"""Characters of a text in one mark; each is six bytes at most."""


@dataclass(frozen=True)
class Mark:
    """One mark: a log begins, the job at hand has ended, or a text belongs to an earlier log."""

    log: str = ""
    """The log that is written to from here on."""
    add_to: str = ""
    """The log that `text` is added to."""
    text: str = ""
    """The text."""

    @property
    def is_end(self) -> bool:
        """True where the job at hand has ended."""
        return not self.log and not self.add_to


def new_prefix() -> str:
    """Return what the marks of a new pipe begin with."""
    return f"\0{secrets.token_hex(16)} "


def written(prefix: str, mark: Mark) -> bytes | None:
    """Return the bytes of a mark; None where they are too many to be written at once."""
    data = f"{prefix}{json.dumps([mark.log, mark.add_to, mark.text])}\n".encode()
    return data if len(data) <= _LONGEST_MARK else None


def additions(log: Path, text: str) -> Iterator[Mark]:
    """Yield the marks that add a text to a log."""
    for start in range(0, len(text), _LONGEST_PIECE):
        yield Mark(add_to=str(log), text=text[start : start + _LONGEST_PIECE])


class Turns:
    """Takes the bytes of a pipe as they come, and tells marks from what jobs write.

    Args:
        prefix: what its marks begin with.
        take: takes what a job wrote.
        obey: takes a mark, once all before it was taken.
    """

    def __init__(
        self, prefix: str, take: Callable[[bytes], None], obey: Callable[[Mark], None]
    ) -> None:
        self._prefix, self._take, self._obey = prefix.encode(), take, obey
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Take what was read."""
        rest = self._rest + data
        while (begin := rest.find(self._prefix)) >= 0:
            end = rest.find(b"\n", begin)
            if end < 0:
                break
            self._pass_on(rest[:begin])
            self._obey(Mark(*json.loads(rest[begin + len(self._prefix) : end])))
            rest = rest[end + 1 :]
        kept = len(rest) - begin if begin >= 0 else self._num_begun(rest)
        self._pass_on(rest[: len(rest) - kept])
        self._rest = rest[len(rest) - kept :]

    def finish(self) -> None:
        """Pass on what looked like the beginning of a mark."""
        rest, self._rest = self._rest, b""
        self._pass_on(rest)

    def _pass_on(self, data: bytes) -> None:
        if data:
            self._take(data)

    def _num_begun(self, data: bytes) -> int:
        """Return how many of the last bytes may be the beginning of a mark."""
        begin = data.rfind(self._prefix[:1], max(0, len(data) - len(self._prefix)))
        return len(data) - begin if begin >= 0 and self._prefix.startswith(data[begin:]) else 0
