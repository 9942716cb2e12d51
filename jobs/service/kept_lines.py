"""`KeptLines`: what a service answered, line by line and on disk, so that nothing is asked twice.

They lie among the checkpoints of an attempt; those of earlier attempts are read. The last line of a
killed attempt may be cut off: it does not parse, and is nobody's.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jobs.worker.work import AttemptFolder

_FILE = "lines.jsonl"
_PUBLISH_EVERY_S = 5.0
"""On a remote root, where the whole file goes each time: 100 bytes a line."""


class KeptLines:
    """Name -> small JSON, each durable before `keep` returns (on a remote root, seconds later)."""

    def __init__(self, attempt: AttemptFolder, name: str) -> None:
        self._attempt = attempt
        self._relative = f"checkpoints/{name}"
        self._lines: dict[str, Mapping[str, Any]] = {}
        for folder in attempt.earlier(self._relative):
            self._lines.update(_read(folder / _FILE))
        self.num_taken_over = len(self._lines)
        self._path = attempt.path / self._relative / _FILE
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._is_local = attempt.artifact.storage.is_local
        self._unseen_since: float | None = None

    def get(self, name: str) -> Mapping[str, Any] | None:
        """What was kept under this name."""
        return self._lines.get(name)

    def keep(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a line, down to the disk."""
        self._lines[name] = content
        with open(self._path, "ab") as stream:
            stream.write(json.dumps({"name": name, **content}).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        now = time.monotonic()
        self._unseen_since = self._unseen_since or now
        if now - self._unseen_since > _PUBLISH_EVERY_S:
            self.show()

    def show(self) -> None:
        """Let later attempts see all of it now, where they cannot read this disk."""
        if self._unseen_since is not None and not self._is_local:
            self._attempt.publish(f"{self._relative}/{_FILE}")
        self._unseen_since = None


def _read(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            content = json.loads(line)
            yield content.pop("name"), content
        except (ValueError, AttributeError, KeyError, TypeError):
            continue
