"""`CheckpointWriter`: how checkpoints of a run reach its storage while training goes on.

Each rank has one thread that writes. At most one checkpoint is on its way; when all ranks have
written theirs, the first marks it complete. A fault while writing ends training on all ranks.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from cluster.errors import SurroundingsError
from jobs.artifacts.artifact import FileEntry
from jobs.training.layout import Layout
from jobs.training.resume.checkpoint_files import Files, Marker, mark_complete, write_files
from jobs.worker import ranks
from jobs.worker.answer import Fault
from jobs.worker.attempt_folder import AttemptFolder

Entries = Mapping[str, FileEntry]
"""Name in a folder -> size and digest."""


@dataclass(frozen=True, kw_only=True)
class _Report:
    """What one rank tells the others after a step."""

    stop: bool
    """True when it is asked to stop."""
    fault: Fault | None
    """Why its part of a checkpoint could not be written."""
    written: Entries | None
    """Its part of a checkpoint, once that is written."""


class CheckpointWriter:
    """Writes the checkpoints of one run. All ranks call everything here, in the same order."""

    def __init__(self, attempt: AttemptFolder, layout: Layout, keep: int) -> None:
        self._attempt = attempt
        self._layout = layout
        self._keep = keep
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[Entries] | None = None
        self._marking: Future[None] | None = None
        self._beside: list[Future[None]] = []
        self._unmarked: Marker | None = None
        self.exact = True
        """True when every step so far was computed in this layout; set by a run that resumes."""
        self.last_step: int | None = None
        """Step of the newest checkpoint of this process."""

    def save(self, step: int, files: Files) -> None:
        """Have a checkpoint written; waits only for the one before it."""
        self.settle()
        self._unmarked = Marker(step=step, layout=self._layout, exact=self.exact, files={})
        self._writing = self._thread.submit(write_files, self._attempt, step, files)
        self.last_step = step

    def write_beside(self, write: Callable[[], None]) -> None:
        """Have this rank write something that every later checkpoint goes with, in turn."""
        self._beside.append(self._thread.submit(write))

    def any_asked_to_stop(self, stop: bool) -> bool:
        """Return, after each step, whether any rank is asked to stop; mark what all have written.

        Args:
            stop: whether this rank is asked to stop.

        Raises:
            SurroundingsError: a rank could not write.
        """
        done = self._writing is not None and self._writing.done()
        return self._agree(stop=stop, ask=done, waits=False)

    def settle(self) -> None:
        """Wait until the checkpoint on its way is complete. Raises as `any_asked_to_stop` does."""
        if self._unmarked is not None:
            self._agree(stop=False, ask=True, waits=True)
        wait([*self._beside, *([self._marking] if self._marking is not None else [])])
        self._agree(stop=False, ask=False, waits=True)

    def close(self) -> None:
        """Wait for the thread to end, whether or not it fails."""
        self._thread.shutdown(wait=True)

    def _agree(self, *, stop: bool, ask: bool, waits: bool) -> bool:
        """Exchange reports among the ranks; return whether any is asked to stop.

        Args:
            stop: whether this rank is asked to stop.
            ask: whether to report what is being written, and to wait for it.
            waits: whether any rank may still be writing.
        """
        fault: Fault | None = None
        written: Entries | None = None
        if ask:
            fault, written = _outcome(self._writing)
        if self._marking is not None and self._marking.done():
            fault = fault or _outcome(self._marking)[0]
        for done in [work for work in self._beside if work.done()]:
            fault = fault or _outcome(done)[0]
            self._beside.remove(done)
        report = _Report(stop=stop, fault=fault, written=written)
        reports = ranks.gathered(report, may_take_long=waits)
        for rank, report in enumerate(reports):
            if report.fault is not None:
                raise SurroundingsError(
                    f"rank {rank} could not keep a checkpoint: {report.fault.message}",
                    fault_class=report.fault.fault_class,
                )
        self._mark([report.written for report in reports])
        return any(report.stop for report in reports)

    def _mark(self, parts: list[Entries | None]) -> None:
        """Mark the checkpoint on its way complete, when all parts of it are written."""
        if self._unmarked is None or None in parts:
            return
        files = {name: entry for part in parts for name, entry in (part or {}).items()}
        marker, self._unmarked, self._writing = replace(self._unmarked, files=files), None, None
        if ranks.is_first():
            self._marking = self._thread.submit(mark_complete, self._attempt, marker, self._keep)


def _outcome(work: Future[Entries] | Future[None] | None) -> tuple[Fault | None, Entries | None]:
    """Wait for work; return what went wrong and what came of it."""
    assert work is not None
    try:
        return None, work.result()
    except Exception as error:  # of a disk or a library; training ends with it on all ranks
        return Fault.of(error), None
