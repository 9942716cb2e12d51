"""`AttemptFolder`: where one attempt at a job writes, and publishes what is finished.

An attempt owns what it writes. Earlier attempts of the same job are open for reading, so that a
killed one's complete checkpoints and units are continued from, never its half-written ones.
"""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from cluster.disk.disk_faults import sync_descriptor
from cluster.disk.durable import sync
from cluster.disk.folder_mode import let_in, sync_and_let_in
from cluster.disk.replaced_file import replace_file
from cluster.disk.temp_folders import TempFolder
from cluster.disk.unfinished import is_leftover
from cluster.errors import SurroundingsError
from cluster.fault_points import fault_point
from cluster.redaction.redactor import redacted
from jobs.artifacts.artifact import Artifact, FileEntry, digest_bytes, digest_file
from jobs.worker.lost_bytes import may_look_into, read_unless_lost
from jobs.worker.sent_witness import to_root

PRIVATE = (
    *("checkpoints", "scratch", "log.txt", "progress.json", "progress.json.tmp"),
    *("alive", "stacks", "evidence.json", "witnesses"),
)
"""Top-level names of an attempt that are never part of the artifact, `log_name`s beside them."""
KEPT = ("log.txt", "stacks", "evidence.json")
"""What of these says what happened: it is kept once the job is done."""

_SMALL_BYTES = 1 << 18
"""What is read at once."""

_LOG_OF_RANK = "log-rank-"

_PROGRESS_EVERY_S = {True: 0.5, False: 5.0}
"""On local and on remote roots, where every look costs a request."""


def log_name(rank: int) -> str:
    """Return the file in an attempt that one of its ranks writes its log to."""
    return "log.txt" if rank == 0 else f"{_LOG_OF_RANK}{rank}.txt"


def is_private(name: str) -> bool:
    """Tell whether a file of an attempt is never part of the artifact."""
    top = name.split("/", 1)[0]
    return top in PRIVATE or top.startswith(_LOG_OF_RANK)


class AttemptFolder:
    """The folder one attempt writes to: on a local root the real one, else a scratch twin."""

    def __init__(self, artifact: Artifact, attempt: str) -> None:
        self.artifact = artifact
        self.attempt = attempt
        self.name = artifact.attempt_folder(attempt)
        self._twin = None if artifact.storage.is_local else TempFolder("attempt")
        self.path = self._twin.path if self._twin else artifact.storage.make_folder(self.name)
        self._shown_at = 0.0
        self._log_bytes = 0
        self._settled: dict[str, FileEntry] = {}

    def publish(
        self,
        relative: str,
        *,
        discard: bool = False,
        entries: Mapping[str, FileEntry] | None = None,
    ) -> None:
        """Make a finished file or folder of this attempt durable and visible to other attempts.

        What says that the rest is whole (named in capitals, such as `UNIT.json`) goes last. May be
        called from several threads.

        Args:
            relative: The file or folder.
            discard: Nothing will change it any more, or read it here: `seal` lists it without
                reading it again, and on a remote root its local twin goes.
            entries: With `discard`: name inside `relative` -> size and digest, where known.
        """
        source = self.path / relative
        known = {f"{relative}/{name}": entry for name, entry in (entries or {}).items()}
        files = [source] if source.is_file() else _plain_files(source)
        for file in sorted(files, key=lambda path: (_is_marker(path.name), path)):
            name = file.relative_to(self.path).as_posix()
            entry = (known.get(name) or _entry_of(file)) if discard else None
            if self.artifact.storage.is_local and _is_marker(file.name):
                self._sync_folders(files)  # what it says is whole has its names by then
            self._put(file, name)
            if entry is not None:
                self._settled[name] = entry
        if self.artifact.storage.is_local:
            self._sync_folders(files)
        if discard and not self.artifact.storage.is_local:
            source.unlink() if source.is_file() else shutil.rmtree(source)

    def adopt(self, relative: str, attempt: str, entries: Mapping[str, FileEntry]) -> None:
        """Take files of another attempt of this job over, unread: the caller has checked them.

        Hard links on a local root; on a remote one the storage copies, and no byte comes here.
        May be called from several threads.

        Args:
            relative: The folder they lie in, in that attempt and in this one.
            attempt: The other attempt.
            entries: Name inside the folder -> size and digest; what is named in capitals goes last.

        Raises:
            SurroundingsError: one of them is not there any more, or has another size.
        """
        storage = self.artifact.storage
        theirs = f"{self.artifact.attempt_folder(attempt)}/{relative}"
        sizes = storage.sizes(theirs)
        if any(sizes.get(name) != entry.bytes for name, entry in entries.items()):
            raise SurroundingsError(f"{theirs} is not what it was", where=storage.url)
        for name in sorted(entries, key=lambda name: (_is_marker(name), name)):
            try:
                storage.copy(f"{theirs}/{name}", f"{self.name}/{relative}/{name}")
            except FileNotFoundError as error:
                raise SurroundingsError(f"{theirs} went away", where=storage.url) from error
            self._settled[f"{relative}/{name}"] = entries[name]

    def seal(self) -> dict[str, FileEntry]:
        """Publish everything that is the artifact's and return its list, digests included.

        What was adopted, or published with `discard`, is listed as it was then.
        """
        entries, files = dict(self._settled), list[Path]()
        for name in sorted(_names_below(self.path, "", is_private)):
            if name in entries:
                continue
            file = self.path / name
            entries[name] = self._put_and_read(file, name)
            files.append(file)
        if self.artifact.storage.is_local:
            # Not the folder of the job: it is synced once the record has its name in it. Should
            # that name alone survive, the files are not there, and the record is none.
            self._sync_folders(files, up_to=self.path.parent)
        return {name: entries[name] for name in sorted(entries)}

    def _put_and_read(self, file: Path, name: str) -> FileEntry:
        """Make the bytes of a file durable where they belong; return their size and digest."""
        if not self.artifact.storage.is_local:
            self._put(file, name)
            return _entry_of(file)
        fault_point("write", file=f"{self.name}/{name}")
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            let_in(descriptor, file)
            sync_descriptor(descriptor)
            fault_point("written", file=f"{self.name}/{name}", path=str(file))
            num_bytes = os.fstat(descriptor).st_size
            data = os.read(descriptor, num_bytes + 1) if num_bytes <= _SMALL_BYTES else b""
        finally:
            os.close(descriptor)
        if num_bytes != len(data):
            return _entry_of(file)
        return FileEntry(bytes=num_bytes, xxh3=digest_bytes(data))

    def _put(self, file: Path, name: str) -> None:
        """Make the bytes of a file durable where they belong."""
        if self.artifact.storage.is_local:
            fault_point("write", file=f"{self.name}/{name}")
            sync_and_let_in(file)
            fault_point("written", file=f"{self.name}/{name}", path=str(file))
        else:
            self.artifact.storage.upload(file, f"{self.name}/{name}")

    def _sync_folders(self, files: Iterable[Path], up_to: Path | None = None) -> None:
        """Make the names of files survive a loss of power, up to the folder of the job."""
        top = str(up_to or self.path.parent.parent)
        folders = set[str]()
        for folder in {os.path.dirname(file) for file in files}:
            while folder.startswith(top) and folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)
        for folder in sorted(folders, reverse=True):  # inner ones first
            sync(folder)

    def others(self) -> list[str]:
        """List the ids of the other attempts that left something this user may see, sorted."""
        others = [attempt for attempt in self.artifact.attempts() if attempt != self.attempt]
        return [attempt for attempt in others if may_look_into(self.artifact, attempt)]

    def read_other(self, attempt: str, relative: str) -> bytes | None:
        """Read one file of another attempt; None when it has none, or none that can be read."""
        name = f"{self.artifact.attempt_folder(attempt)}/{relative}"
        return read_unless_lost(self.artifact.storage, name)

    def earlier(self, relative: str) -> list[Path]:
        """Return local copies of a folder in other attempts of this job, oldest first.

        Copies from a remote root lie in this attempt's scratch, and go with it.
        """
        storage = self.artifact.storage
        folders = []
        for attempt in self.others():
            name = f"{self.artifact.attempt_folder(attempt)}/{relative}"
            if not storage.list(name):
                continue
            if storage.is_local:
                folders.append(storage.path(name))
                continue
            local = self.path / "scratch" / "earlier" / attempt / relative
            for file in storage.walk(name):
                storage.download(file, local / file[len(name) + 1 :])
            folders.append(local)
        return folders

    def show_progress(self, fraction: float | None, doing: str) -> None:
        """Write `progress.json` now and then, and on a remote root the log, for who watches."""
        now = time.time()
        is_local = self.artifact.storage.is_local
        if now - self._shown_at < _PROGRESS_EVERY_S[is_local] and fraction != 1.0:
            return
        self._shown_at = now
        state = json.dumps({"fraction": fraction, "doing": redacted(doing), "at": now}).encode()
        if is_local:
            fault_point("write", file=f"{self.name}/progress.json")
            replace_file(self.path / "progress.json", state)
            return
        with contextlib.suppress(SurroundingsError):  # the job itself goes on without watchers
            self.artifact.storage.write(f"{self.name}/progress.json", state)
            self._show_log(log_name(0))

    def show_log(self, rank: int, num_ranks: int) -> None:
        """Upload the log of a rank other than the first one now and then, for who watches.

        On a local root it lies there already. All these ranks together cost what the first does.
        """
        now = time.time()
        pace = _PROGRESS_EVERY_S[False] * num_ranks
        if self.artifact.storage.is_local or now - self._shown_at < pace:
            return
        self._shown_at = now
        with contextlib.suppress(SurroundingsError):
            self._show_log(log_name(rank))

    def _show_log(self, name: str) -> None:
        log = self.path / name
        size = log.stat().st_size if log.exists() else 0
        if size != self._log_bytes:  # its middle may have been left out
            self.artifact.storage.upload(log, f"{self.name}/{name}")
            self._log_bytes = size

    @property
    def way_to_root(self) -> dict[str, object] | None:
        """How the keeper of a log sends what is left of a worker that dies; None: it lies there."""
        storage = self.artifact.storage
        return None if storage.is_local else to_root(storage.url, self.name)

    def discard_scratch(self) -> None:
        """Drop the local twin of a remote attempt."""
        if self._twin:
            self._twin.remove()


def _plain_files(folder: Path) -> list[Path]:
    """Return the finished files below a folder, as `_names_below`; none where it is missing."""
    with contextlib.suppress(FileNotFoundError):
        return [folder / name for name in _names_below(folder, "", lambda name: False)]
    return []


def _names_below(folder: Path, inside: str, is_left_out: Callable[[str], bool]) -> Iterator[str]:
    """Yield the finished files below a folder; links and what the file system left are none.

    Args:
        folder: the folder.
        inside: comes before its names.
        is_left_out: tells of a file or folder that it is passed over.

    Raises:
        FileNotFoundError: the folder is missing.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            name = inside + entry.name
            if is_left_out(name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _names_below(folder / entry.name, f"{name}/", is_left_out)
            elif entry.is_file(follow_symlinks=False) and not is_leftover(entry.name):
                yield name


def _is_marker(name: str) -> bool:
    return PurePosixPath(name).stem.isupper()


def _entry_of(file: Path) -> FileEntry:
    return FileEntry(bytes=file.stat().st_size, xxh3=digest_file(file))
