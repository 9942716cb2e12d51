"""The lines of a ledger: those that are new, those that hold no event, and those that do."""

from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import IO

from cluster.disk.disk_faults import ForeignEntry
from cluster.storage import Storage
from orchestrator.records.durable_lines import lines_of, short_lines
from orchestrator.records.events import Event, OfAnotherVersion, parse_event
from orchestrator.records.ledger import ledger_folder, read_lines


def new_events(storage: Storage, study: str, read: dict[str, int]) -> Iterator[Event]:
    """Yield what was added to the ledger of a study since it was read last.

    Args:
        storage: The output root.
        study: Name of the study.
        read: File -> bytes of it that were read; brought up to date as events are yielded.
    """
    folder = ledger_folder(study)
    for entry in storage.list(folder):
        name = f"{folder}/{entry}"
        start = read.get(name, 0)
        with suppress(FileNotFoundError, ForeignEntry):
            if storage.is_local:
                stream: IO[bytes] = storage.open(name)
            elif storage.size(name) != start:  # a look costs less than all bytes
                stream = BytesIO(storage.read(name))
            else:
                continue
            with stream:
                stream.seek(start)
                for line in short_lines(stream):
                    if not line.endswith(b"\n"):
                        break  # being written
                    read[name] = stream.tell()
                    with suppress(ValueError):
                        yield parse_event(line)


def damaged_lines(storage: Storage, study: str) -> Iterator[tuple[str, int, str]]:
    """Yield file, line from 1, and what is wrong, of everything that `read_events` passes over.

    The end of a file that a crash cut off in the middle of a line is no damage, nor is what another
    version of deltascale wrote.
    """
    for name, number, event in read_lines(storage, study):
        if isinstance(event, ValueError) and not isinstance(event, OfAnotherVersion):
            yield name, number, str(event)


def kept_lines(storage: Storage, name: str) -> bytes:
    """Return the lines of one file that hold an event, as they are."""
    try:
        return b"".join(line for line in lines_of(storage, name) if _is_event(line))
    except ForeignEntry:
        return b""


def _is_event(line: bytes) -> bool:
    try:
        parse_event(line)
    except ValueError as reason:
        return isinstance(reason, OfAnotherVersion)
    return True
