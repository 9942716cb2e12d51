"""The ledger: every event of every attempt of a study, in order; it does not decide what is done.

One file per launch on a local root, some objects on a remote one (`durable_lines.py`). A line that
does not parse was left half-written by a crash, or damaged: it is passed over.
"""

from collections.abc import Iterator

from cluster.disk.disk_faults import ForeignEntry
from cluster.storage import Storage
from orchestrator.records.durable_lines import FileLines, ObjectLines, lines_of
from orchestrator.records.events import Event, line_of, parse_event


def ledger_folder(study: str) -> str:
    """Return the folder of a study's ledger, relative to the root."""
    return f"studies/{study}/ledger"


class Ledger:
    """The ledger of one launch, open for appending.

    Events wait in memory, in order, while the storage does not take them. `flush` and `close`
    raise SurroundingsError then, and may be called again.
    """

    def __init__(self, storage: Storage, study: str, launch: str) -> None:
        name = f"{ledger_folder(study)}/{launch}"
        self._lines: FileLines | ObjectLines = (
            FileLines(storage, name) if storage.is_local else ObjectLines(storage, name)
        )

    def append(self, event: Event) -> None:
        """Add an event, to be written at the next flush."""
        self._lines.append(line_of(event))

    @property
    def has_unwritten(self) -> bool:
        """True while some event is in memory alone."""
        return self._lines.has_unwritten

    def flush(self) -> None:
        """Write the added events; they are on disk at most a second later, or at close."""
        self._lines.flush()

    def close(self) -> None:
        """Write all events for sure, and close the file."""
        self._lines.close()


def read_events(storage: Storage, study: str) -> Iterator[Event]:
    """Yield all events of a study, launch by launch, without holding them in memory."""
    for _, _, event in read_lines(storage, study):
        if not isinstance(event, ValueError):
            yield event


def read_lines(storage: Storage, study: str) -> Iterator[tuple[str, int, Event | ValueError]]:
    """Yield file, line from 1, and the event there, or why it is none."""
    folder = ledger_folder(study)
    for entry in storage.list(folder):
        name = f"{folder}/{entry}"
        try:
            for number, line in enumerate(lines_of(storage, name), start=1):
                try:
                    event: Event | ValueError = parse_event(line)
                except ValueError as reason:
                    if not line.endswith(b"\n"):
                        continue
                    event = reason
                yield name, number, event
        except FileNotFoundError:
            continue  # it was deleted meanwhile
        except ForeignEntry as fault:
            yield name, 0, ValueError(fault.error)
