r"""`LogLines`: bytes of a stream, redacted line by line, in time linear in what is written.

A line ends with `\n` or `\r`, so that a progress bar is seen while it runs. Of a line that does
not end, all but its last part is passed on.
"""

from collections.abc import Callable

_LONGEST_LINE = 64 << 10
_HELD = 4096
"""Bytes of a line without an end that wait for the next ones: a token may go on there."""
_FRAME = b"PRIVATE KEY-----"


class LogLines:
    """Takes bytes as they come, and passes them on without secrets.

    Args:
        write: takes what is redacted.
        redact: as it is now; secrets may become known while a job runs.
        longest: characters of the longest secret that is known.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        redact: Callable[[str], str],
        longest: Callable[[], int],
    ) -> None:
        self._write, self._redact, self._longest = write, redact, longest
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Take what was read."""
        self._rest += data
        end = max(self._rest.rfind(b"\n"), self._rest.rfind(b"\r")) + 1
        end = self._before_open_frame(end)
        if not end and len(self._rest) > _LONGEST_LINE:
            end = self._cut()
        if end:
            self._pass_on(self._rest[:end])
            self._rest = self._rest[end:]

    def finish(self) -> None:
        """Pass on what is left, as a line."""
        if self._rest:
            self._pass_on(self._rest + b"\n")
            self._rest = b""

    def _before_open_frame(self, end: int) -> int:
        """Return where a private key begins whose end did not come yet; else `end`."""
        last = self._rest.rfind(_FRAME, 0, end)
        begins = self._rest.rfind(b"-----BEGIN ", 0, last) if last >= 0 else -1
        is_open = begins >= 0 and b"-----END " not in self._rest[begins:last]
        return begins if is_open and len(self._rest) <= _LONGEST_LINE else end

    def _cut(self) -> int:
        """Return a place near the end where no secret is cut in two."""
        held = max(_HELD, 2 * self._longest())
        place = max(len(self._rest) - held, 1)
        for _ in range(8):
            around = self._rest[max(0, place - held) : place + held]
            left = around[: min(place, held)]
            if self._text(left) + self._text(around[len(left) :]) == self._text(around):
                break
            place = max(place - held, 1)
        return place

    def _pass_on(self, data: bytes) -> None:
        self._write(self._text(data).encode("utf-8", "surrogateescape"))

    def _text(self, data: bytes) -> str:
        return self._redact(data.decode("utf-8", "surrogateescape"))
