"""`Shelf`: one commit of a repository of the hub, as it lies in a root.

    hub/models/<org>--<name>/<commit>/
        files/…          the files, as they are called on the hub
        <16 hex>.json    which of them were taken, their sizes and the hub's hashes: written last
        parts/…          downloads that did not end, named by the hash of what they become
        lock             held by who fetches

Plain files, no links: a root may be a bucket. What no record lists is not there, whatever lies
under `files/`.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NotRequired

import xxhash
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import read_as
from cluster.disk.disk_faults import ForeignEntry
from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from jobs.artifacts.local_copies import HeldCopies, local_copy, place_of_copy
from jobs.hub.repository import SHELVES, Repository

Choose = Callable[[Sequence[str]], Sequence[str]]
"""From the names of all files of a repository to those that somebody needs."""
_RECORD = ".json"
_held: dict[tuple[str, str], HeldCopies] = {}
"""Copies that this process reads; they stay as long as it lives."""


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file of a repository, as the hub lists it."""

    size: int
    """Its bytes."""
    sha256: str | None = None
    """SHA-256 of its bytes, of a large file (LFS)."""
    git_sha1: str | None = None
    """Git's name of its bytes, of a small one."""

    @property
    def digest(self) -> str:
        """The hash that its bytes are held against; the size where the hub gives none."""
        return self.sha256 or self.git_sha1 or f"{self.size}-bytes"

    def fault_of(self, path: Path) -> str | None:
        """Say what is wrong with a local file; None where it is this one, byte for byte."""
        size = path.stat().st_size if path.is_file() else None
        return self._fault_of_size(size) or self._fault_of_bytes(_pieces_of(path))

    def fault_in(self, root: Storage, name: str) -> str | None:
        """Say what is wrong with a file of a root; None where it is this one, byte for byte."""
        return self._fault_of_size(root.size(name)) or self._fault_of_bytes(root.pieces(name))

    def _fault_of_size(self, size: int | None) -> str | None:
        if size is None:
            return "it is not there"
        return None if size == self.size else f"it has {size} of {self.size} bytes"

    def _fault_of_bytes(self, pieces: Iterable[bytes]) -> str | None:
        if self.sha256 is not None:
            name, expected, hasher = "SHA-256", self.sha256, hashlib.sha256()
        elif self.git_sha1 is not None:
            name, expected = "git hash", self.git_sha1
            hasher = hashlib.sha1(f"blob {self.size}\0".encode(), usedforsecurity=False)
        else:
            return None
        for piece in pieces:
            hasher.update(piece)
        return None if hasher.hexdigest() == expected else f"its {name} is not the hub's"


def _pieces_of(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        while piece := stream.read(1 << 20):
            yield piece


class _File(TypedDict):
    """A file in a record."""

    bytes: int
    """Its size."""
    sha256: NotRequired[str]
    """Its SHA-256."""
    git_sha1: NotRequired[str]
    """Its git hash."""


class _Record(TypedDict):
    """What one download took."""

    repository: str
    """The repository, as studies name it."""
    commit: str
    """Its commit."""
    files: dict[str, _File]
    """What was taken."""
    others: list[str]
    """What else the repository holds."""


_SHAPE = TypeAdapter(_Record)


def _hub_file(facts: _File) -> HubFile:
    return HubFile(size=facts["bytes"], sha256=facts.get("sha256"), git_sha1=facts.get("git_sha1"))


def _written(file: HubFile) -> dict[str, object]:
    hashes = {"sha256": file.sha256, "git_sha1": file.git_sha1}
    return {"bytes": file.size, **{name: value for name, value in hashes.items() if value}}


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a root has of a commit."""

    files: Mapping[str, HubFile]
    """What was taken."""
    listing: Sequence[str]
    """Names of all files of the repository."""


@dataclass(frozen=True)
class Shelf:
    """Where one commit of a repository lies in a root."""

    root: Storage
    """The root."""
    repository: Repository
    """The repository."""
    commit: str
    """The commit."""

    def __str__(self) -> str:
        return f"{self.repository} at {self.commit}"

    @property
    def folder(self) -> str:
        """Its folder, relative to the root."""
        return f"{self.repository.folder}/{self.commit}"

    def name_of(self, file: str) -> str:
        """Return the name of a file, relative to the root."""
        return f"{self.folder}/files/{file}"

    @cached_property
    def contents(self) -> Contents | None:
        """What all records say that was taken; None where there is none."""
        files: dict[str, HubFile] = {}
        listing: set[str] = set()
        for name in self._records():
            with suppress(ValueError):  # `verify` names it, and `fetch` takes the files again
                record = read_as(self.root, name, _SHAPE)
                if record is not None:
                    files |= {file: _hub_file(facts) for file, facts in record["files"].items()}
                    listing |= {*record["files"], *record["others"]}
        return Contents(files=files, listing=sorted(listing)) if listing else None

    def damaged(self) -> Iterator[tuple[str, str]]:
        """Yield every record and file that is not as it was written, and what is wrong with it."""
        for name in self._records():
            try:
                read_as(self.root, name, _SHAPE)
            except ValueError as reason:
                yield name, str(reason)
        for file, listed in (self.contents.files if self.contents else {}).items():
            fault = listed.fault_in(self.root, self.name_of(file))
            if fault is not None:
                yield self.name_of(file), f"{fault}: `deltascale fetch` brings it again"

    def _records(self) -> list[str]:
        names = names_in(self.root, self.folder)
        return [f"{self.folder}/{name}" for name in names if name.endswith(_RECORD)]

    def find(self, choose: Choose) -> list[str] | None:
        """Return the names of the chosen files, where all of them are here; else None.

        Sizes are looked at, hashes are not.
        """
        contents = self.contents
        if contents is None:
            return None
        names = list(choose(contents.listing))
        sizes = self.root.sizes(f"{self.folder}/files")
        is_whole = all(
            name in contents.files and sizes.get(name) == contents.files[name].size
            for name in names
        )
        return names if is_whole else None

    def place(self, names: Iterable[str]) -> Path:
        """Return a folder of this machine that holds files of this shelf, checked by their hashes.

        Of a remote root they are copied here first, and stay as long as this process lives.

        Raises:
            SurroundingsError: a file is damaged, or gone.
        """
        contents = self.contents
        assert contents is not None, f"{self} was not fetched"
        if not self.root.is_local:
            key = (self.root.url, self.folder)
            if key not in _held:
                _held[key] = HeldCopies(self.root, f"{self.folder}/files")
        for name in names:
            file, full = contents.files[name], self.name_of(name)
            is_whole = (
                file.fault_of(self.root.path(full)) is None
                if self.root.is_local
                else self._copied(full, file)
            )
            if not is_whole:
                raise self._damaged(name)
        folder = f"{self.folder}/files"
        return self.root.path(folder) if self.root.is_local else place_of_copy(self.root, folder)

    def _copied(self, name: str, file: HubFile) -> bool:
        place_of_copy(self.root, name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return local_copy(
            self.root, name, lambda path: file.fault_of(path) is None, num_bytes=file.size
        )

    def _damaged(self, name: str) -> SurroundingsError:
        """Make the fault for a file whose bytes are not the hub's."""
        return SurroundingsError(
            f"{self.name_of(name)} is damaged or gone: it is not the file of {self}",
            where=self.root.url,
            hint="`deltascale verify STUDY --repair` takes it away, `deltascale fetch STUDY` "
            "fetches it again",
            fault_class=FaultClass.MISTAKE,
        )

    def record(self, files: Mapping[str, HubFile], listing: Iterable[str]) -> None:
        """Say that files are here, once they are: the last step of a download."""
        document = {
            "repository": str(self.repository),
            "commit": self.commit,
            "files": {name: _written(file) for name, file in sorted(files.items())},
            "others": sorted(set(listing) - files.keys()),
        }
        text = (json.dumps(document, indent=1) + "\n").encode()
        digest = xxhash.xxh3_64_hexdigest("\n".join(sorted(files)).encode())
        self.root.write(f"{self.folder}/{digest}{_RECORD}", text)


def has_shelves(root: Storage) -> bool:
    """Tell whether `fetch` took anything into a root."""
    return bool(names_in(root, SHELVES))


def names_in(root: Storage, folder: str) -> list[str]:
    """List a folder; one that is a link, or lies behind one, is none of ours and holds nothing."""
    with suppress(ForeignEntry):
        return root.list(folder)
    return []
