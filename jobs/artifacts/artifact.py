"""`Artifact`: what one job left behind, and `Record`, which is published last and makes it so.

Done = the record parses, its key matches, and the files it lists exist with their sizes. Digests
are checked when a file is opened as an input, and by `verify`.
"""

import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import xxhash
from pydantic import ConfigDict, TypeAdapter, with_config

from cluster.checked_json import parse_as, read_file
from cluster.disk.disk_faults import ForeignEntry, disk_faults
from cluster.errors import SurroundingsError
from cluster.readable_json import readable_json
from cluster.storage import Storage
from jobs.artifacts.job import artifact_folder
from jobs.artifacts.local_copies import HeldCopies, local_copy, place_of_copy

CARD = "model/README.md"
"""The card of a model: for people, read by no job."""


_FINITE = ConfigDict(allow_inf_nan=False)


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of an artifact."""

    bytes: int
    """Its size."""
    xxh3: str
    """xxh3-64 of its bytes, 16 hex digits."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True)
class LetGo:
    """What of a finished job's files was deleted on purpose, once all that read them were done."""

    at: float
    """When, in seconds since the epoch."""
    files: Sequence[str]
    """Their names, as the record lists them: sizes and digests stay there."""
    attempts: Sequence[str] = ()
    """Ids of the attempts that stood then: what they saved goes, too. Later ones make it again."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True)
class Record:
    """`record.json`: what was done, by which attempt, from what, with what."""

    key: str
    """Key of the job, 64 hex digits."""
    kind: str
    """Kind of the job."""
    attempt: str
    """The attempt that won; its files lie in `attempts/<attempt>/`."""
    files: Mapping[str, FileEntry]
    """Name inside the attempt's folder -> size and digest."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Key of every input read -> content digest of its record."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Small JSON that the kind wants known: counted parameters, rows, resolved revision."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the interpreter and libraries in force."""
    commit: str | None = None
    """Commit of this code, with `+` when the tree had changes; None when unknown."""
    threads: int = 1
    """Compute threads it ran with."""
    seconds: float = 0.0
    """Wall time of the winning attempt."""
    let_go: LetGo | None = None
    """What was let go (`keep: until-read`); written before the first of these files is deleted.
    None: all files are there. The job is done for all that do not read them."""

    @property
    def standing(self) -> Mapping[str, FileEntry]:
        """The files that are there."""
        gone = frozenset(self.let_go.files) if self.let_go else frozenset()
        return {name: entry for name, entry in self.files.items() if name not in gone}

    @property
    def content_digest(self) -> str:
        """xxh3-64 over key and files: equal for equal work, whoever did it and however long.

        Without cards: they name commit and versions, which make nothing downstream stale.
        """
        names = sorted(name for name in self.files if name != CARD)
        listed = [f"{name} {self.files[name].xxh3}" for name in names]
        return digest_bytes("\n".join([self.key, *listed]).encode())

    def to_json(self) -> bytes:
        """Write the bytes of `record.json`."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["files"] = {
            name: {"bytes": entry.bytes, "xxh3": entry.xxh3} for name, entry in self.files.items()
        }
        if self.let_go is None:
            del values["let_go"]
        return readable_json(values, default=asdict)

    @classmethod
    def from_json(cls, data: bytes) -> "Record":
        """Parse a record. Raises ValueError when it is none, or names what is no file of ours."""
        record = parse_as(_RECORD, data)
        if not is_plain_name(record.attempt) or "/" in record.attempt:
            raise ValueError(f"attempt: {record.attempt[:100]!r} is no name of an attempt")
        for name in record.files:
            if not is_plain_name(name):
                raise ValueError(f"files: {name[:100]!r} is no name of a file")
        return record


_RECORD = TypeAdapter(Record)


def is_plain_name(name: str) -> bool:
    """Tell whether a name from a file stays inside the folder that it is relative to."""
    return "\0" not in name and {"", ".", ".."}.isdisjoint(name.split("/"))


def digest_bytes(data: bytes) -> str:
    """Return the xxh3-64 of bytes, 16 hex digits."""
    return xxhash.xxh3_64_hexdigest(data)


def digest_file(path: Path) -> str:
    """Return the xxh3-64 of a file, 16 hex digits."""
    with open(path, "rb") as stream:
        # Twice as fast as reading pieces of 16 MiB: its one buffer stays in the processor's cache.
        return str(hashlib.file_digest(stream, xxhash.xxh3_64).hexdigest())


def standing_digest(storage: Storage, name: str) -> str | None:
    """Return the xxh3-64 of the bytes under a name now, never of a copy; None where none are."""
    try:
        if storage.is_local:
            with disk_faults(storage.url, f"read {name}"), storage.open(name) as stream:
                return str(hashlib.file_digest(stream, xxhash.xxh3_64).hexdigest())
        hasher = xxhash.xxh3_64()
        for piece in storage.pieces(name):
            hasher.update(piece)
        return hasher.hexdigest()
    except FileNotFoundError:
        return None


class Artifact:
    """The folder of one job under a root."""

    def __init__(self, storage: Storage, kind: str, key: str) -> None:
        self.storage = storage
        self.kind = kind
        self.key = key
        self.folder = artifact_folder(kind, key)
        self._verified: set[str] = set()
        self._copies: HeldCopies | None = None

    def __repr__(self) -> str:
        return f"Artifact({self.folder})"

    @property
    def record_name(self) -> str:
        """Name of the record under the root."""
        return f"{self.folder}/record.json"

    def find_record(self) -> tuple[Record, str] | None:
        """Return the record and its content digest when the job is done, else None."""
        data = self.record_bytes()
        return None if data is None else self.record_in(data)

    def record_bytes(self) -> bytes | None:
        """Read what lies where the record belongs, valid or not; None when nothing does.

        A folder or a link there is damage like any other: it is never opened, and gives no bytes.
        """
        try:
            return read_file(self.storage, self.record_name)
        except ValueError:
            return b""  # it is in the way, and no record

    def record_in(self, data: bytes) -> tuple[Record, str] | None:
        """Parse a record; return it and its content digest, or None when it is not valid."""
        record = self.parse_record(data)
        if record is None:
            return None
        try:
            sizes = self._sizes(record)
        except ForeignEntry:
            return None  # what lies on the way to its files is no folder of ours
        if any(sizes.get(name) != entry.bytes for name, entry in record.standing.items()):
            return None
        return record, record.content_digest

    def parse_record(self, data: bytes) -> Record | None:
        """Parse a record without a look at its files; None when it is not one of this job."""
        try:
            record = Record.from_json(data)
        except ValueError:
            return None
        return record if record.key == self.key else None

    def _sizes(self, record: Record) -> Mapping[str, int | None]:
        """Return the sizes of the winning attempt's files, in as few requests as possible."""
        folder = self.attempt_folder(record.attempt)
        if self.storage.is_local or len(record.files) < 2:
            return {name: self.storage.size(f"{folder}/{name}") for name in record.standing}
        return self.storage.sizes(folder)

    def retire(self, seen: bytes) -> None:
        """Delete a stale or damaged record unless it was replaced, to make room for another.

        One that was published meanwhile stays. What is no file is none of ours: it is moved aside.
        """
        if seen:
            self.storage.remove_only(self.record_name, seen)
        elif self.record_bytes() != seen:
            return
        elif self.storage.size(self.record_name) is not None:
            self.storage.remove(self.record_name)
        else:
            self.storage.move(self.record_name, f"{self.record_name}.aside-{uuid.uuid4().hex[:8]}")

    @cached_property
    def _found(self) -> tuple[Record, str]:
        record = self.find_record()
        if record is None:
            raise SurroundingsError(f"{self.folder} has no valid record", where=self.storage.url)
        return record

    @property
    def record(self) -> Record:
        """The record. Raises SurroundingsError when there is no valid one."""
        return self._found[0]

    @property
    def record_digest(self) -> str:
        """Content digest of the record."""
        return self._found[1]

    @property
    def facts(self) -> Mapping[str, Any]:
        """The facts in the record."""
        return self.record.facts

    def attempt_folder(self, attempt: str) -> str:
        """Return the folder of one attempt, relative to the root."""
        return f"{self.folder}/attempts/{attempt}"

    def attempts(self) -> list[str]:
        """List the ids of all attempts that left a folder, sorted."""
        return self.storage.list(f"{self.folder}/attempts")

    def names(self, folder: str = "") -> list[str]:
        """List the recorded files below a folder of the artifact, sorted."""
        return sorted(name for name in self.record.files if name.startswith(folder))

    def path(self, name: str) -> Path:
        """Return a local path of one recorded file, its digest checked once.

        Raises:
            KeyError: the record does not list it.
            SurroundingsError: its bytes are not what the record says, or it was let go.
        """
        self._require_kept(name)
        entry = self.record.files[name]
        full = self._full(name)
        is_local = self.storage.is_local
        path = self.storage.path(full) if is_local else place_of_copy(self.storage, full)
        if not is_local and self._copies is None:
            self._copies = HeldCopies(self.storage, self.attempt_folder(self.record.attempt))
        if name in self._verified and (is_local or path.exists()):
            return path

        def is_whole(file: Path) -> bool:
            with disk_faults(str(file.parent), f"read {file.name}"):
                return file.is_file() and digest_file(file) == entry.xxh3

        if not (
            is_whole(path)
            if is_local
            else local_copy(self.storage, full, is_whole, num_bytes=entry.bytes)
        ):
            raise SurroundingsError(
                f"{full} is damaged: its bytes are not those its record lists",
                where=self.storage.url,
                hint="`deltascale verify STUDY` finds everything damaged",
            )
        self._verified.add(name)
        return path

    def _require_kept(self, name: str) -> None:
        if name in self.record.files and name not in self.record.standing:
            assert self.record.let_go is not None
            day = time.strftime("%Y-%m-%d", time.localtime(self.record.let_go.at))
            raise SurroundingsError(
                f"{self._full(name)} was let go on {day} (`keep: until-read`): all that read it "
                "were done",
                where=self.storage.url,
                hint="take `keep` from the stage that made it, and `deltascale launch STUDY` makes "
                "it again",
            )

    def directory(self, folder: str) -> Path:
        """Return a local folder holding every recorded file below `folder`, each checked."""
        paths = [self.path(name) for name in self.names(folder + "/")]
        assert paths, f"{self.folder} has no files below {folder}"
        if self.storage.is_local:
            return self.storage.path(self._full(folder))
        return place_of_copy(self.storage, self._full(folder))

    def read(self, name: str) -> bytes:
        """Read one recorded file, checked."""
        return self.path(name).read_bytes()

    def _full(self, name: str) -> str:
        return f"{self.attempt_folder(self.record.attempt)}/{name}"
