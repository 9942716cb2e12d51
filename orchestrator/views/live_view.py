"""The progress of a launch on a terminal: one bar for the study, one line per running job."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cluster.errors import DeltascaleError, SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.job import Job
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.nodes.quarantine import Quarantined
from orchestrator.dispatch.waiting.outage import Wait
from orchestrator.dispatch.watcher import Watcher
from orchestrator.records.attempt_progress import Progress, read_progress
from orchestrator.records.events import LaunchState
from orchestrator.records.failure import FAILURES, Result
from orchestrator.text import duration, first_line, printable
from orchestrator.views.painter import is_terminal, room_of
from orchestrator.views.progress import PlainLines, Running, attempts_by_job, summary
from orchestrator.views.screen import screen_lines
from orchestrator.views.standing import Standing

_MOST_SHOWN = 8
_REFRESHES_PER_S = 2
_LOOK_EVERY_S = 2.0
_LOOK_AT_REMOTE_EVERY_S = 15.0
_MOST_OF_THE_TIME = 0.03
"""Most of the time that looks at the whole study may take."""


@contextlib.contextmanager
def open_progress(
    storage: Storage, stream: TextIO, study: str | None = None, *, plain: bool = False
) -> Iterator[Watcher]:
    """Show a launch on `stream` while the block runs: live on a terminal, else as plain lines.

    Args:
        storage: the output root.
        stream: where it is shown.
        study: name of the study, whose whole standing is drawn; None: its running jobs alone.
        plain: show plain lines on a terminal, too.
    """
    if is_terminal(stream, plain=plain):
        with LiveView(storage, stream, study) as view:
            yield view
    else:
        yield PlainLines(stream)


class LiveView(Watcher):
    """Draws the progress of a launch on a terminal; failures scroll by above the view.

    The view keeps the stream that it was given, because jobs that run in this process redirect
    `sys.stdout` to their own logs.
    """

    def __init__(self, storage: Storage, stream: TextIO, study: str | None = None) -> None:
        self._storage = storage
        self._stream = stream
        self._standing = Standing(storage, study) if study is not None else None
        self._status: dict[str, Any] | None = None
        self._look_at = 0.0
        self._console = Console(file=stream)
        self._running: dict[str, Running] = {}
        self._counts: Mapping[JobState, int] = {}
        self._wait: Wait | None = None
        self._done_before: int | None = None
        self._began = time.monotonic()
        self._changing = threading.Lock()
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=_REFRESHES_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *fault: object) -> None:
        with contextlib.suppress(OSError):  # the terminal was closed
            self._live.stop()
            if self._counts:
                self._console.print(self._headline())

    def note_start(self, job: Job, attempt: str) -> None:
        """Add a line for the attempt."""
        with self._changing:
            self._running[attempt] = Running(job=job, since=time.monotonic())

    def note_end(self, job: Job, attempt: str, result: Result, message: str | None) -> None:
        """Remove the line of the attempt; a failure stays on the screen."""
        with self._changing:
            self._running.pop(attempt, None)
        if result in FAILURES:
            self._scroll(result.value, "yellow", job, message)

    def note_liveness(self, job: Job, attempt: str, text: str) -> None:
        """Print that a running attempt is slow, silent or hung; the line stays on the screen."""
        self.note_line(f"{job.label}: {first_line(text)}")

    def note_drop(self, job: Job, state: JobState, because: str) -> None:
        """Print that a job will not be done; the line stays on the screen."""
        self._scroll(state.value, "red", job, because)

    def note_quarantine(self, quarantined: Quarantined) -> None:
        """Print that a node gets no jobs for a while; the line stays on the screen."""
        with contextlib.suppress(OSError):  # the terminal was closed
            self._console.print(Text(printable(str(quarantined)), style="yellow"))

    def note_wait(self, wait: Wait | None) -> None:
        """Show what is waited for, below the bar, until the wait is over."""
        self._wait = wait

    def note_line(self, text: str) -> None:
        """Let it scroll by above the view."""
        with contextlib.suppress(OSError):  # the terminal was closed
            self._console.print(Text(printable(text)))

    def tick(self, counts: Mapping[JobState, int]) -> None:
        """Remember how many jobs are in which state."""
        if self._done_before is None:
            self._done_before = counts[JobState.DONE]
        self._counts = dict(counts)

    def _scroll(self, word: str, colour: str, job: Job, message: str | None) -> None:
        text = Text.assemble((word, colour), f" {job.label}: {first_line(message)}")
        with contextlib.suppress(OSError):  # the terminal was closed
            self._console.print(text)

    def _look(self) -> None:
        """Ask how the study stands, as rarely as the launch is hardly slowed by it."""
        if self._standing is None or time.monotonic() < self._look_at:
            return
        began = time.monotonic()
        try:
            self._status = self._standing.status()
        except DeltascaleError:
            pass  # which the launch itself meets
        except Exception:  # a fault of a view costs the launch nothing
            self._show_less()
        now = time.monotonic()
        least = _LOOK_EVERY_S if self._storage.is_local else _LOOK_AT_REMOTE_EVERY_S
        self._look_at = now + max(least, (now - began) / _MOST_OF_THE_TIME)

    def _draw(self) -> RenderableType:
        self._look()
        if self._status is not None and self._status["state"] == LaunchState.RUNNING.value:
            room = room_of(self._stream)
            inner = replace(room, width=room.width - 1, height=max(4, room.height // 2))
            try:
                return Group(*screen_lines(self._status, inner))
            except Exception:  # as above
                self._show_less()
        with self._changing:
            running = dict(self._running)
        table = Table.grid(padding=(0, 2))
        for attempts in attempts_by_job(running)[:_MOST_SHOWN]:
            first = running[attempts[0]]
            progress = Progress()
            with contextlib.suppress(SurroundingsError):  # which the launch waits for
                progress = read_progress(self._storage, first.job, attempts)
            fraction = progress.fraction
            doing = [f"{len(attempts)} workers"] if len(attempts) > 1 else []
            doing += [progress.doing] if progress.doing else []
            table.add_row(
                Text(first.job.label),
                Text(duration(time.monotonic() - first.since), style="dim"),
                Text("" if fraction is None else f"{fraction:.0%}"),
                Text(", ".join(doing), style="dim"),
            )
        wait = self._wait
        if wait is not None:
            return Group(self._bar(), Text(str(wait), style="yellow"), table)
        return Group(self._bar(), table)

    def _show_less(self) -> None:
        """Show the running jobs alone from now on."""
        self._status = self._standing = None

    def _bar(self) -> RenderableType:
        total = sum(self._counts.values()) or 1
        row = Table.grid(padding=(0, 2))
        done = self._counts.get(JobState.DONE, 0)
        row.add_row(ProgressBar(total=total, completed=done, width=24), self._headline())
        return row

    def _headline(self) -> Text:
        if not self._counts:
            return Text("starting")
        spent = time.monotonic() - self._began
        text = f"{summary({state: self._counts.get(state, 0) for state in JobState})}, "
        return Text(text + duration(spent) + self._remaining(spent))

    def _remaining(self, spent: float) -> str:
        done = self._counts.get(JobState.DONE, 0) - (self._done_before or 0)
        left = self._counts.get(JobState.WAITING, 0) + self._counts.get(JobState.RUNNING, 0)
        return f", about {duration(spent * left / done)} to go" if done > 0 and left else ""
