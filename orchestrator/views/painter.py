"""Paints a screen of lines on a terminal: only lines that changed are written, so none flickers."""

import os
from collections.abc import Callable, Sequence
from io import StringIO
from typing import TextIO

from rich.console import Console
from rich.text import Text

from orchestrator.views.screen import Room

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
"""To a screen of its own without a cursor, and back to what was there before."""


def is_terminal(stream: TextIO, *, plain: bool = False) -> bool:
    """Return True where a cursor can be moved, and the user did not ask for plain lines."""
    return not plain and stream.isatty() and os.environ.get("TERM") != "dumb"


def room_of(stream: TextIO) -> Room:
    """Return how much a terminal shows now."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        size = os.terminal_size((80, 24))
    # A pseudo-terminal that nobody sized says 0.
    width, height = size.columns or 80, size.lines or 24
    return Room(width=width, height=height, is_ascii=not _shows("█▓·…", stream))


def _shows(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class Painter:
    """A screen of its own on a terminal, while the block runs."""

    def __init__(self, stream: TextIO, measure: Callable[[TextIO], Room] = room_of) -> None:
        self._stream = stream
        self._measure = measure
        self._room: Room | None = None
        self._shown: list[str] = []
        self._is_on = False

    def __enter__(self) -> "Painter":
        return self

    def __exit__(self, *fault: object) -> None:
        if self._is_on:
            self._write(_LEAVE)
            self._is_on = False

    @property
    def room(self) -> Room:
        """How much there is to draw on now."""
        return self._measure(self._stream)

    def paint(self, lines: Sequence[Text]) -> None:
        """Show these lines in place of those before."""
        room = self.room
        parts = [] if self._is_on else [_ENTER]
        if room != self._room:
            self._room, self._shown = room, []
            parts.append("\x1b[2J")
        texts = [self._rendered(line, room) for line in lines[: room.height]]
        for row in range(max(len(texts), len(self._shown))):
            text = texts[row] if row < len(texts) else ""
            if row >= len(self._shown) or self._shown[row] != text:
                parts.append(f"\x1b[{row + 1};1H{text}\x1b[K")
        self._shown, self._is_on = texts, True
        if parts:
            self._write("".join(parts))

    def _rendered(self, line: Text, room: Room) -> str:
        """Return a line with its colours, where the user has not asked for none (NO_COLOR)."""
        console = Console(file=StringIO(), force_terminal=True, width=room.width)
        console.print(line, end="", no_wrap=True, crop=True, highlight=False, markup=False)
        assert isinstance(console.file, StringIO)
        return console.file.getvalue()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
