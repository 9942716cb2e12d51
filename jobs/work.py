"""`Work`: everything a kind may touch while it runs one job, and `AttemptFolder`, where it writes.

An attempt owns what it writes. Earlier attempts of the same job are open for reading, so that a
killed one's complete checkpoints and units are continued from, never its half-written ones.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.executor import Surroundings
from jobs.artifact import Artifact, FileEntry, digest_file
from jobs.job import Cell
from jobs.tracking import Tracker

PRIVATE = ("checkpoints", "scratch", "log.txt", "progress.json", "progress.json.tmp")
"""Top-level names of an attempt that are never part of the artifact."""

_PROGRESS_EVERY_S = 0.5


class AttemptFolder:
    """The folder one attempt writes to: on a local root the real one, else a scratch twin."""

    def __init__(self, artifact: Artifact, attempt: str) -> None:
        self.artifact = artifact
        self.attempt = attempt
        self.name = artifact.attempt_folder(attempt)
        storage = artifact.storage
        self.path = (
            storage.path(self.name)
            if storage.is_local
            else Path(tempfile.mkdtemp(prefix="deltascale-attempt-"))
        )
        self.path.mkdir(parents=True, exist_ok=True)
        self._shown_at = 0.0

    def publish(self, relative: str) -> None:
        """Make a finished file or folder of this attempt durable and visible to later attempts."""
        source = self.path / relative
        files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
        for file in files:
            if self.artifact.storage.is_local:
                _sync(file)
            else:
                name = file.relative_to(self.path).as_posix()
                self.artifact.storage.upload(file, f"{self.name}/{name}")

    def seal(self) -> dict[str, FileEntry]:
        """Publish everything that is the artifact's and return its list, digests included."""
        entries = {}
        for file in sorted(self.path.rglob("*")):
            name = file.relative_to(self.path).as_posix()
            if not file.is_file() or name.split("/", 1)[0] in PRIVATE:
                continue
            self.publish(name)
            entries[name] = FileEntry(bytes=file.stat().st_size, xxh3=digest_file(file))
        return entries

    def earlier(self, relative: str) -> list[Path]:
        """Local copies of `relative` (a folder) in other attempts of this job, oldest first.

        Copies from a remote root lie in this attempt's scratch, and go with it.
        """
        storage = self.artifact.storage
        found = []
        for attempt in self.artifact.attempts():
            name = f"{self.artifact.attempt_folder(attempt)}/{relative}"
            if attempt == self.attempt or not storage.list(name):
                continue
            if storage.is_local:
                found.append(storage.path(name))
                continue
            local = self.path / "scratch" / "earlier" / attempt / relative
            for file in storage.walk(name):
                storage.download(file, local / file[len(name) + 1 :])
            found.append(local)
        return found

    def show_progress(self, fraction: float | None, doing: str) -> None:
        """Write `progress.json` for whoever watches; at most twice a second."""
        now = time.time()
        if now - self._shown_at < _PROGRESS_EVERY_S and fraction != 1.0:
            return
        self._shown_at = now
        state = json.dumps({"fraction": fraction, "doing": doing, "at": now}).encode()
        if self.artifact.storage.is_local:
            temporary = self.path / "progress.json.tmp"
            temporary.write_bytes(state)
            os.replace(temporary, self.path / "progress.json")
        else:
            self.artifact.storage.write(f"{self.name}/progress.json", state)

    def discard_scratch(self) -> None:
        """Drop the local twin of a remote attempt."""
        if not self.artifact.storage.is_local:
            shutil.rmtree(self.path, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class GatheredInput:
    """One upstream artifact together with where in the grid it stands."""

    stage: str
    """Stage of the upstream job."""
    cell: Cell
    """Its cell."""
    artifact: Artifact
    """What it left behind."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One attempt at one job, as its kind sees it."""

    params: Any
    """The kind's validated Params."""
    inputs: Mapping[str, Sequence[GatheredInput]]
    """Input name -> upstream artifacts."""
    attempt: AttemptFolder
    """Where to write, and what earlier attempts left."""
    surroundings: Surroundings
    """What may be asked of the place it runs in."""
    tracker: Tracker
    """The mirror of its curves; the metrics of record are files."""
    threads: int
    """Compute threads it runs with."""
    pins: Mapping[str, str] = field(default_factory=dict)
    """What the kind's `pins` gave when the job was planned: what must be found now."""
    worker: int = 0
    """Number of this worker among those that share the job, from 0."""
    num_workers: int = 1
    """Most workers that share the job; 1 where nobody else is at it."""

    @property
    def folder(self) -> Path:
        """The local folder to write files into."""
        return self.attempt.path

    def input(self, name: str) -> Artifact:
        """The one artifact under an input name."""
        (found,) = self.inputs[name]
        return found.artifact

    def has(self, name: str) -> bool:
        """True when the study gave this input."""
        return bool(self.inputs.get(name))

    def progress(self, fraction: float | None, doing: str) -> None:
        """Say how far it is (0 to 1, or None when unknown) and what it is doing."""
        self.attempt.show_progress(fraction, doing)

    @property
    def stop_requested(self) -> bool:
        """True once it should checkpoint and return by raising `Stopped`."""
        return self.surroundings.stop_requested()


class Stopped(Exception):
    """Raised by a kind that was asked to stop and has saved what it had."""


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
