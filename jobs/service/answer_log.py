"""`AnswerLog`: what was read off a service's answers, on disk, so that nothing is asked twice.

The lines lie among the checkpoints of an attempt; those of earlier attempts are read. The last line
of a killed attempt may be cut off: a line that does not parse is skipped.
"""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from cluster.checked_json import parse_json
from cluster.disk.disk_faults import is_lost, sync_descriptor
from jobs.service.json_service import JSON
from jobs.worker.attempt_folder import AttemptFolder

Reading = Mapping[str, JSON]
"""What was read off one answer: numbers and names, no text."""

_FILE = "lines.jsonl"
_PUBLISH_EVERY_S = 5.0
"""On a remote root, where the whole file goes each time: 100 bytes a line."""


class AnswerLog:
    """Name -> reading, each durable before `keep` returns (on a remote root, seconds later)."""

    def __init__(self, attempt: AttemptFolder, name: str) -> None:
        self._attempt = attempt
        self._relative = f"checkpoints/{name}"
        self._readings: dict[str, Reading] = {}
        for folder in attempt.earlier(self._relative):
            self._readings.update(_read_lines(folder / _FILE))
        self.num_taken_over = len(self._readings)
        self._path = attempt.path / self._relative / _FILE
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._is_local = attempt.artifact.storage.is_local
        self._unpublished_since: float | None = None

    def get(self, name: str) -> Reading | None:
        """Return the reading of this name, or None."""
        return self._readings.get(name)

    def keep(self, name: str, reading: Reading) -> None:
        """Write a reading, down to the disk."""
        self._readings[name] = reading
        with open(self._path, "ab") as stream:
            stream.write(json.dumps({"name": name, **reading}).encode() + b"\n")
            stream.flush()
            sync_descriptor(stream.fileno())
        now = time.monotonic()
        self._unpublished_since = self._unpublished_since or now
        if now - self._unpublished_since > _PUBLISH_EVERY_S:
            self.publish()

    def publish(self) -> None:
        """Make every reading visible to later attempts, where they cannot read this disk."""
        if self._unpublished_since is not None and not self._is_local:
            self._attempt.publish(f"{self._relative}/{_FILE}")
        self._unpublished_since = None


def _read_lines(path: Path) -> Iterator[tuple[str, Reading]]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        if not is_lost(error):
            raise
        return
    for line in data.splitlines():
        try:
            content = parse_json(line)
            yield content.pop("name"), content
        except (ValueError, AttributeError, KeyError, TypeError):
            continue
