"""`Checkpointing`: how checkpoints of a run reach its storage while training goes on.

Each rank has one thread that writes. At most one checkpoint is on its way; when all ranks have
written theirs, the first marks it complete. What goes wrong there ends training on all ranks.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

from cluster.errors import DeltascaleError, SurroundingsError
from jobs.artifacts.artifact import FileEntry
from jobs.training.layout import Layout
from jobs.training.resume.checkpoints import (
    Files,
    Marker,
    mark_complete,
    write_files,
)
from jobs.worker import ranks
from jobs.worker.work import AttemptFolder

Entries = Mapping[str, FileEntry]
"""Name in a folder -> size and digest."""


@dataclass(frozen=True, kw_only=True)
class _Word:
    """What ranks tell each other after a step."""

    stop: bool
    """Asked to stop."""
    fault: str | None
    """Why its part of a checkpoint could not be written."""
    written: Entries | None
    """Its part of a checkpoint, once it is written."""


class Checkpointing:
    """The checkpoints of one run. All ranks call everything here, in the same order."""

    def __init__(self, attempt: AttemptFolder, layout: Layout, keep: int) -> None:
        self._attempt = attempt
        self._layout = layout
        self._keep = keep
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[Entries] | None = None
        self._marking: Future[None] | None = None
        self._begun: Marker | None = None
        self.exact = True
        """Whether every step so far was computed in this layout; for whoever resumes to say."""
        self.last_step: int | None = None
        """Step of the newest checkpoint of this process."""

    def save(self, step: int, files: Files) -> None:
        """Have a checkpoint written; waits only for the one before it."""
        self.settle()
        self._begun = Marker(step=step, layout=self._layout, exact=self.exact, files={})
        self._writing = self._thread.submit(write_files, self._attempt, step, files)
        self.last_step = step

    def heard(self, stop: bool) -> bool:
        """After each step: whether any rank is asked to stop; marks what all ranks have written.

        Raises:
            SurroundingsError: a rank could not write.
        """
        done = self._writing is not None and self._writing.done()
        return self._agree(stop=stop, ask=done, waits=False)

    def settle(self) -> None:
        """Wait until the checkpoint on its way is complete. Raises as `heard` does."""
        if self._begun is not None:
            self._agree(stop=False, ask=True, waits=True)
        if self._marking is not None:
            wait([self._marking])
        self._agree(stop=False, ask=False, waits=True)

    def close(self) -> None:
        """Wait for the thread, whatever becomes of what it does."""
        self._thread.shutdown(wait=True)

    def _agree(self, *, stop: bool, ask: bool, waits: bool) -> bool:
        """Tell each other, of what is being written only if asked to; that is waited for.

        `waits`: whether any rank may still be writing.
        """
        fault, written = _outcome(self._writing) if ask else (None, None)
        if self._marking is not None and self._marking.done():
            fault = fault or _outcome(self._marking)[0]
        word = _Word(stop=stop, fault=fault, written=written)
        words = ranks.gathered(word, may_take_long=waits)
        for rank, word in enumerate(words):
            if word.fault is not None:
                raise SurroundingsError(f"rank {rank} could not keep a checkpoint: {word.fault}")
        self._mark([word.written for word in words])
        return any(word.stop for word in words)

    def _mark(self, parts: list[Entries | None]) -> None:
        """Mark it complete, when all parts of it are written."""
        if self._begun is None or None in parts:
            return
        files = {name: entry for part in parts for name, entry in (part or {}).items()}
        marker, self._begun, self._writing = replace(self._begun, files=files), None, None
        if ranks.is_first():
            self._marking = self._thread.submit(mark_complete, self._attempt, marker, self._keep)


def _outcome(work: Future[Any] | None) -> tuple[str | None, Any]:
    """What went wrong, and what came of it; waits for it."""
    assert work is not None
    try:
        return None, work.result()
    except DeltascaleError as fault:
        return str(fault), None
    except Exception as fault:  # of a disk or a library; training ends with it on all ranks
        return f"{type(fault).__name__}: {fault}", None
