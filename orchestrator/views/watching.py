"""Shows studies again and again until nothing of them runs: on a terminal, or as plain lines."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from rich.text import Text

from orchestrator.text import first_line, printable
from orchestrator.views.painter import Painter, is_terminal
from orchestrator.views.screen import Room, counts_text, label_of, screen_lines

_Status = dict[str, Any]
_LOOK_EVERY_S = 2.0
_MOST_OF_THE_TIME = 0.1
"""Most of the time that looks may take: those of a large study, or over a network, are rarer."""


def is_at_work(status: _Status) -> bool:
    """Return True while a launch runs, or waits in a queue."""
    return status["state"] == "running" or bool((status.get("queue") or {}).get("is_queued"))


def watch(
    look: Callable[[], Sequence[_Status]],
    stream: TextIO,
    *,
    plain: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> Sequence[_Status]:
    """Show what `look` returns until nothing is at work; Ctrl-C ends the watch alone.

    Args:
        look: returns the status of every study that is watched.
        stream: where it is shown.
        plain: show lines of words only, when something has changed.
        sleep: waits for some seconds.

    Returns:
        What was shown last.
    """
    statuses: Sequence[_Status] = []
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as opened:
        show: Callable[[Sequence[_Status]], None]
        if is_terminal(stream, plain=plain):
            painter = opened.enter_context(Painter(stream))

            def show(statuses: Sequence[_Status]) -> None:
                painter.paint(lines_of(statuses, painter.room))

        else:
            show = Changes(stream).show
        while True:
            began = time.monotonic()
            statuses = look()
            if not any(map(is_at_work, statuses)):
                break
            show(statuses)
            took = time.monotonic() - began
            sleep(max(_LOOK_EVERY_S, took / _MOST_OF_THE_TIME))
    return statuses


def lines_of(statuses: Sequence[_Status], room: Room) -> list[Text]:
    """Return the lines of one study's screen, or of several below one another, at work first."""
    readable = [one for one in statuses if one["state"] != "unreadable"]
    if len(statuses) == 1 and readable:
        foot = Text("  Ctrl-C ends the watch, not the launch", style="dim")
        inner = Room(width=room.width, height=room.height - 1, is_ascii=room.is_ascii)
        return [*screen_lines(readable[0], inner), foot]
    at_work = [one for one in readable if is_at_work(one)]
    others = [one for one in statuses if one not in at_work]
    each = max(3, (room.height - len(others)) // max(1, len(at_work)))
    lines: list[Text] = []
    for status in at_work:
        inner = Room(width=room.width, height=each, is_ascii=room.is_ascii)
        lines += screen_lines(status, inner)
    for status in others:
        what = status.get("error") or counts_text(status["jobs"])
        lines.append(Text(f"{status['study']}: {status['state']}; {what}"[: room.width]))
    return lines[: room.height]


class Changes:
    """Prints a line for what has changed since the last look: for logs, and to be read aloud."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._said: dict[tuple[str, str], str] = {}
        self._failures: set[tuple[str, str]] = set()

    def show(self, statuses: Sequence[_Status]) -> None:
        """Print what is new."""
        for status in statuses:
            for what, line in self._lines(status):
                if self._said.get((status["study"], what)) != line:
                    self._said[status["study"], what] = line
                    if line:
                        self._print(f"{status['study']}: {line}")
            for failure in reversed(status.get("failures") or []):
                if (failure["key"], failure["attempt"]) not in self._failures:
                    self._failures.add((failure["key"], failure["attempt"]))
                    self._print_failure(failure)

    def _lines(self, status: _Status) -> list[tuple[str, str]]:
        if status["state"] == "unreadable":
            return [("state", f"unreadable; {status['error']}")]
        launch, wait = status["launch"] or {}, status["waits_for"]
        counts = counts_text(status["jobs"])
        eta = status["eta"]["line"] if status["eta"] and is_at_work(status) else ""
        # What is left changes at every look: it is said with what else has changed.
        previous = self._said.get((status["study"], "counts"), "")
        if not previous.startswith(f"{status['state']}; {counts};"):
            previous = f"{status['state']}; {counts}; {eta}".rstrip("; ") + ";"
        is_silent = (launch.get("silent_seconds") or 0.0) > _SILENT_S
        lines = [
            ("counts", previous),
            ("wait", wait["line"] if wait else ""),
            ("silent", f"the coordinator is silent: {launch['held_by']}" if is_silent else ""),
        ]
        for stage in status["stages"]:
            is_done = stage["done"] == stage["jobs"]
            text = f"stage {stage['stage']} is done, {stage['jobs']} jobs" if is_done else ""
            lines.append((f"stage {stage['stage']}", text))
        for job in status["unfinished"]:
            health = (job["activity"] or {}).get("health") or "well"
            is_well = health == "well"
            text = "" if is_well else f"{label_of(job)} is {health}: {job['activity']['why']}"
            lines.append((f"health {job['key']}", text))
        return lines

    def _print_failure(self, failure: _Status) -> None:
        named = f" ({failure['signature']})" if failure["signature"] else ""
        self._print(f"failure of {label_of(failure)}{named}: {first_line(failure['message'])}")
        for word, text in (("what to do", failure["remedy"]), ("decision", failure["decided_by"])):
            if text:
                self._print(f"  {word}: {text}")

    def _print(self, line: str) -> None:
        self._stream.write(f"{time.strftime('%H:%M:%S')} {printable(line.rstrip(';'))}\n")
        self._stream.flush()


_SILENT_S = 45.0
"""A coordinator that was silent for longer is told of."""
