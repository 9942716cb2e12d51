"""`ModelSource`: hub or folder of a model or an adapter, pinned when a study is planned.

The hub at a commit, or a folder of the user whose bytes are digested. Needs no torch.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

import xxhash

from cluster.disk.durable import link_or_copy
from cluster.disk.written_path import expanded
from cluster.errors import UserError
from cluster.storage import Storage
from jobs.artifacts.artifact import digest_file
from jobs.hub import client as hub
from jobs.hub.repository import Repository
from jobs.hub.shelf import Shelf
from jobs.sources.placeholders import pointer_beside, require_target
from jobs.worker.work import Work

UNRESOLVED = "unresolved"
"""Start of the pin of a revision that no launch has resolved yet."""


@dataclass(frozen=True, kw_only=True)
class SourceFiles:
    """The files of a folder or repository that are taken."""

    wanted: Sequence[str]
    """Patterns of the files that are downloaded from the hub."""
    check: Callable[[Path, str], Sequence[str]]
    """(folder, its name in errors) -> names of its files. Raises UserError when incomplete."""
    weights: Sequence[str]
    """Names of files of which one at least must be there."""
    absent: Callable[[Sequence[str], str], UserError]
    """(names that are there instead, its name in errors) -> the fault when there are none."""

    def choose(self, names: Sequence[str]) -> list[str]:
        """Choose from the files of a repository those to take; no weights twice.

        As `weights` lists them: where the first is there, what else has weights stays.
        """
        first, *others = self.weights
        if first not in names or not others:
            return [name for name in names if _is_wanted(name, self.wanted)]
        wanted = [pattern for pattern in self.wanted if pattern not in others]
        return [
            name
            for name in names
            if name == first or (_is_wanted(name, wanted) and not name.endswith(Path(first).suffix))
        ]


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A place that holds the files of a layout."""

    name: str
    """`hf://org/name`, or a folder."""
    revision: str | None
    """Branch, tag or commit on the hub."""
    layout: SourceFiles
    """The files that are taken."""
    file: str | None = None
    """Name of the one file that is the model, where it is no folder; a local `name` ends in it."""

    @property
    def known_name(self) -> str:
        """The name under which a launch remembers the commit of the revision."""
        return f"{self.name}@{self.revision or hub.DEFAULT_REVISION}"

    def pins(self, known: Mapping[str, str]) -> Mapping[str, str]:
        """Return the commit on the hub, or the digest of a folder's files.

        Raises:
            UserError: the folder is not there or is incomplete.
        """
        if not hub.is_on_hub(self.name):
            folder = self._folder()
            return {"weights": _digest(folder, self.layout.check(folder, self.name))}
        hub.repository(self.name)
        if self.revision is not None and hub.is_commit(self.revision):
            return {"revision": self.revision}
        # The revision's name stays in it: two revisions of one model are two jobs until resolved.
        unresolved = f"{UNRESOLVED} {self.revision or hub.DEFAULT_REVISION}"
        return {"revision": known.get(self.known_name, unresolved)}

    def resolve(self) -> tuple[str, str] | None:
        """Return (known_name, commit) on the hub; None where there is nothing to resolve.

        Raises:
            UserError: no such repository or revision.
            SurroundingsError: there is no network and the cache does not hold the revision.
        """
        if not hub.is_on_hub(self.name):
            return None
        return self.known_name, hub.commit_of(self.name, self.revision)

    def take(self, target: Path, work: Work) -> str | None:
        """Copy or link the files into a folder and check them; return their commit on the hub.

        Raises:
            UserError: the source is incomplete, or has changed since the study was planned.
        """
        folder, commit = self.locate(work)
        names = self.layout.check(folder, self.name)
        target.mkdir(exist_ok=True)
        place = _copy if commit is None else _link
        for index, name in enumerate(names):
            work.progress(index / len(names), f"taking {name}")
            place(folder / name, target / name)
        self.layout.check(target, self.name)
        if commit is None:
            self.require_planned(target, names, work)
        return commit

    def require_planned(self, folder: Path, names: Sequence[str], work: Work) -> None:
        """Raise UserError where files of a folder are not those that the study was planned with."""
        planned = work.pins.get("weights")
        if planned is not None and _digest(folder, names) != planned:
            raise UserError(
                f"the {'folder' if self.file is None else 'file'} has changed since the study was "
                "planned",
                where=self.name,
                hint="plan and launch again",
            )

    def locate(self, work: Work) -> tuple[Path, str | None]:
        """Return the folder to take from, and the commit when it comes from the hub.

        Raises:
            UserError: the files are not there.
            SurroundingsError: the hub cannot be reached and the cache does not hold them.
        """
        if not hub.is_on_hub(self.name):
            return self._folder(), None
        commit = work.pins.get("revision", UNRESOLVED)
        if commit.startswith(UNRESOLVED):
            commit = hub.commit_of(self.name, self.revision)
        fetched = self._fetched(commit, work)
        if fetched is not None:
            return fetched, commit
        work.progress(None, f"fetching {self.name}")
        folder = hub.download(self.name, commit, self.layout.wanted)
        for name in self.layout.weights:
            require_target(folder / name, f"{self.name} at {commit}")
        if not any((folder / name).exists() for name in self.layout.weights):
            raise self.layout.absent(
                hub.list_files(self.name, commit, folder), f"{self.name} at {commit}"
            )
        return folder, commit

    def shelf(self, root: Storage, commit: str) -> Shelf:
        """Return where a root holds a commit of it, once that was fetched."""
        return Shelf(root, Repository.of_model(self.name), commit)

    def _fetched(self, commit: str, work: Work) -> Path | None:
        """Return the folder of the files that `fetch` took into the root; None where it did not."""
        shelf = self.shelf(work.attempt.artifact.storage, commit)
        names = shelf.find(self.layout.choose)
        if not names:
            return None
        work.progress(None, f"checking {self.name}")
        return shelf.place(names)

    def _folder(self) -> Path:
        folder = expanded(self.name)
        if self.file is not None:
            folder = folder.parent
            require_target(folder / self.file, f"source {self.name}")
            if not folder.is_dir():
                raise UserError(
                    "there is no such file", where=f"source {self.name}", code="data-missing"
                )
        if not folder.is_dir():
            require_target(folder, f"source {self.name}")
            raise UserError(
                "there is no such folder"
                if not folder.exists()
                else "this is a file, not a folder",
                where=f"source {self.name}",
                hint=pointer_beside(folder)
                or "a model on the hub is written hf://organisation/name; one that is not here "
                "can be planned where `data` of the study says where it is to be had",
            )
        return folder


def _is_wanted(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, so that no later write to a user's folder changes the artifact."""
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)


def _link(source: Path, target: Path) -> None:
    """Link a file of a cache, which nobody writes to; copy it from another file system."""
    target.unlink(missing_ok=True)
    link_or_copy(source.resolve(), target)


def _digest(folder: Path, names: Sequence[str]) -> str:
    """Compute the xxh3-64 over names and digests of files, 16 hex digits."""
    hasher = xxhash.xxh3_64()
    for name in names:
        state = (folder / name).stat()
        digest = _file_digest(folder / name, state.st_size, state.st_mtime_ns)
        hasher.update(f"{name}\0{digest}\n".encode())
    return hasher.hexdigest()


@lru_cache(maxsize=4096)
def _file_digest(path: Path, size: int, modified_ns: int) -> str:
    """Digest a file once per process: a ladder names its models many times."""
    return digest_file(path)
