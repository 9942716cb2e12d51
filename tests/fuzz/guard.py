"""What a case must not do: take too long, take all memory, or write outside its folder."""

import contextlib
import os
import resource
import signal
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_STAYS = os.O_NOFOLLOW | os.O_EXCL
"""Flags with which a link in the last place is not followed."""
_MADE_OR_GONE = {
    # Event of the interpreter -> places of (path, descriptor of the folder it is relative to).
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.utime": ((0, 3),),
}
_HARMLESS = ("/dev/", "/proc/")


class Hang(BaseException):
    """A case took longer than it may; no `except Exception` of ours hides it."""


class Watch:
    """Hears of every file that this process opens for writing, makes, renames or deletes."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] | None = None
        self.outside: list[str] = []
        sys.addaudithook(self._hear)

    @contextlib.contextmanager
    def only_in(self, *folders: Path) -> Iterator[list[str]]:
        """Note what is written anywhere else while the block runs."""
        self.allowed, self.outside = tuple(os.path.realpath(folder) for folder in folders), []
        try:
            yield self.outside
        finally:
            self.allowed = None

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.allowed is None:
            return
        if event == "open":
            path, mode, flags = arguments
            # `os.open` does not say which folder a relative path is relative to; `outside_of` does.
            is_known = mode is not None or os.path.isabs(os.fspath(path) if path else "")  # type: ignore[call-overload,arg-type]
            if isinstance(flags, int) and flags & _WRITES and is_known:
                self._note(event, path, None, follows=not flags & _STAYS)
        for at, at_folder in _MADE_OR_GONE.get(event, ()):
            self._note(event, arguments[at], None if at_folder is None else arguments[at_folder])

    def _note(self, event: str, path: object, folder: object, *, follows: bool = False) -> None:
        allowed, self.allowed = self.allowed, None  # looking at it makes events of its own
        try:
            if isinstance(path, int):
                return
            text = os.fsdecode(path)  # type: ignore[arg-type]
            if isinstance(folder, int) and folder >= 0:
                text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
            parent = os.path.realpath(os.path.dirname(os.path.abspath(text)))
            place = os.path.join(parent, os.path.basename(text))
            place = os.path.realpath(place) if follows else place
            if not place.startswith(_HARMLESS) and not any(
                place == one or place.startswith(one + "/") for one in allowed or ()
            ):
                self.outside.append(f"{event} {place}")
        except (OSError, ValueError):
            pass  # what can be no path is refused by the system, too
        finally:
            self.allowed = allowed


def limit_memory(most_bytes: int) -> None:
    """Let this process and its children take no more address space."""
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))


@contextlib.contextmanager
def limit_time(seconds: float, waiting_s: float) -> Iterator[None]:
    """Raise Hang in the block when it computes longer, or waits longer on a busy machine."""

    def end(number: int, frame: object) -> None:
        raise Hang(f"still at it after {seconds:g} s of work or {waiting_s:g} s of waiting")

    timers = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    before = {number: signal.signal(number, end) for number in timers}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, waiting_s)
    try:
        yield
    finally:
        for number, timer in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def outside_of(place: Path, allowed: Sequence[Path]) -> dict[str, tuple[int, ...]]:
    """Return what lies below a place -> its mode, size, time of change and sum, links not followed.

    Args:
        place: the folder of everything that a case could reach.
        allowed: folders in which a case may do what it likes; left out.
    """
    seen = {}
    for folder, folders, files in os.walk(place):
        folders[:] = [name for name in folders if Path(folder, name) not in allowed]
        for path in (Path(folder, name) for name in (*folders, *files)):
            look = path.lstat()
            seen[str(path)] = (look.st_mode,)
            if stat.S_ISREG(look.st_mode):
                total = zlib.crc32(path.read_bytes())
                seen[str(path)] = (look.st_mode, look.st_size, look.st_mtime_ns, total)
    return seen
