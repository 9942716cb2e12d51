"""`OwnEntries`: the entries that a study brings along, found by doors while the study is at work.

A job's key holds the digest of every entry that its params name (a pin `entries/PATH` for each
file), and is sent that code with what the jobs upstream were made by: nothing that no digest in its
key stands for.
"""

import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from analysis.door import Brought, bring, bringing, entry_of
from cluster.errors import DeltascaleError, UserError
from jobs.artifacts.job import OWN_CODE
from jobs.entries.fulfilment import check_fulfilment, defining_line
from jobs.entries.own_code import OwnCode, code_of, sha256
from jobs.entries.own_folder import entry_paths, read_folder
from jobs.entries.own_names import require_own_names
from jobs.entries.rooms import contract_of, door_of, package_of

PIN = OWN_CODE
"""Start of the names of own code's pins, and of its files in the frames of errors."""
_SHA256 = "sha256:"


@dataclass(frozen=True, kw_only=True)
class OwnEntry:
    """One entry of a study's own, as its door finds it."""

    code: OwnCode
    """Its source."""
    folder: str = field(default="entries", compare=False)
    """The folder of entries, in messages."""

    @property
    def package(self) -> str:
        """The door's folder as a package."""
        return package_of(self.code.room)

    @property
    def stem(self) -> str:
        """Name of its file, without suffix."""
        return self.code.stem

    @property
    def place(self) -> str:
        """Return the path of the entry's file, as messages name it."""
        return f"{self.folder}/{self.code.path}"

    @property
    def name(self) -> str:
        """Its name as a study writes it."""
        return self.stem.replace("_", door_of(self.code.room).separator)

    def load(self) -> ModuleType:
        """Import it and return its module.

        Raises:
            UserError: it cannot be imported; with the file and line of its own that failed.
        """
        try:
            with redirect_stdout(sys.stderr):  # what a verb prints is for programs, too
                return self.code.load()
        except DeltascaleError:
            raise
        except BaseException as error:  # a stranger's code may raise anything, SystemExit too
            if isinstance(error, (KeyboardInterrupt, MemoryError)):
                raise
            raise UserError(
                f"own entry {self.code.path} cannot be imported: {describe(error)}",
                where=f"{self.folder}/{line_of(error) or self.code.path}",
                hint="a library must be installed where jobs run, too; a module of your own is "
                "imported by its place: `from .._shared import …`"
                if isinstance(error, ModuleNotFoundError)
                else None,
            ) from error

    def check(self) -> None:
        """Load it and hold it against its door's contract.

        Raises:
            UserError: it is not what its door asks for; with its file and line.
        """
        door = door_of(self.code.room)
        try:
            entry = entry_of(self, contract_of(self.code.room))
        except DeltascaleError:
            raise
        except Exception as error:  # a contract that is not kept, or a class that cannot be made
            line = line_of(error) or f"{self.code.path}:{defining_line(self.code, self.stem)}"
            words = describe(error, bare=TypeError).removeprefix(f"{self.place} ")
            raise UserError(
                f"own {door.what} {self.name!r}: {words}", where=f"{self.folder}/{line}"
            ) from None
        check_fulfilment(entry, door, self.code, self.folder)


@dataclass(frozen=True)
class OwnEntries:
    """The entries that a study brings along."""

    entries: Sequence[Brought] = ()
    """Each of them."""
    codes: Mapping[str, OwnCode] = field(default_factory=dict)
    """Path of each whose code is here -> its source."""

    why_absent: str | None = None
    """Why their code is not here; None where it is."""

    @property
    def note(self) -> str | None:
        """What a reader must know where code is not here; None where nothing is missing."""
        if not self.entries or self.why_absent is None:
            return None
        return (
            f"the code of {len(self.entries)} own entries is not here ({self.why_absent}): "
            "numbers are shown as they were measured, and what its figures, answers and formats "
            "would add now is left out"
        )

    def bringing(self) -> AbstractContextManager[None]:
        """Let doors find these entries, and no others, while a block runs."""
        return bringing(self.entries)

    def bring(self) -> None:
        """Let doors find these entries, too, until the `bringing` block around ends."""
        bring(self.entries)

    def is_same(self, other: "OwnEntries") -> bool:
        """Tell whether others are the same code."""
        return self.codes == other.codes and self.why_absent == other.why_absent

    @cached_property
    def _paths(self) -> Mapping[tuple[str, str], str]:
        return {(package_of(c.room), c.stem): path for path, c in self.codes.items()}

    def named(self, names: Iterable[tuple[str, str]]) -> frozenset[str]:
        """Return the paths of those own entries that are among these.

        Args:
            names: package of a door, and name of an entry behind it.
        """
        if not self.codes:
            return frozenset()
        paths = self._paths
        stems = ((package, name.replace("-", "_")) for package, name in names)
        return frozenset(paths[stem] for stem in stems if stem in paths)

    def behind(self, package: str) -> frozenset[str]:
        """Return the paths of all own entries behind a door."""
        return frozenset(path for (own, _), path in self._paths.items() if own == package)

    def pins(self, paths: Iterable[str]) -> dict[str, str]:
        """Return what stands for these entries in a key: file -> the digest of its bytes."""
        return {
            f"{PIN}{file}": f"{_SHA256}{digest}"
            for path in sorted(paths)
            for file, digest in self.codes[path].digests.items()
        }

    def sent(self, paths: Iterable[str]) -> dict[str, Any]:
        """Return these entries as an assignment carries them to a worker; empty for none."""
        codes = [self.codes[path] for path in sorted(paths)]
        if not codes:
            return {}
        modules = {name: data for code in codes for name, data in code.modules.items()}
        return {
            "entries": [code.path for code in codes],
            "modules": {
                name: {"sha256": sha256(data), "text": data.decode()}
                for name, data in sorted(modules.items())
            },
        }


@contextmanager
def apart() -> Iterator[None]:
    """Let doors find the package's entries, and those of studies that the block opens.

    It may decorate a function, too; what was brought is forgotten at its end.
    """
    with bringing():
        yield


def received(sent: Mapping[str, Any], pins: Mapping[str, str]) -> OwnEntries:
    """Take the own entries that came with an assignment.

    Args:
        sent: what `OwnEntries.sent` gave.
        pins: of the job: what its key holds.

    Raises:
        UserError: the bytes are not those that the key names.
    """
    modules = {}
    for name, written in sent.get("modules", {}).items():
        data = written["text"].encode()
        if sha256(data) != written["sha256"]:
            raise _other_bytes(name)
        modules[name] = data
    for name, pin in pins.items():
        if name.startswith(PIN):
            data = modules.get(name.removeprefix(PIN), b"")
            if f"{_SHA256}{sha256(data)}" != pin:
                raise _other_bytes(name.removeprefix(PIN))
    return own_entries(modules, sent.get("entries", ()), "entries")


def own_entries(modules: Mapping[str, bytes], paths: Iterable[str], folder: str) -> OwnEntries:
    """Make the entries of these files. Raises UserError, with file and line, for what is wrong.

    Args:
        modules: path -> bytes of every own module that there is.
        paths: those of the entries.
        folder: the folder of entries, in messages.
    """
    codes = {}
    for path in paths:
        try:
            codes[path] = code_of(path, modules)
        except UserError as fault:
            raise fault.at(f"{folder}/{fault.where}") from None
    return OwnEntries([OwnEntry(code=code, folder=folder) for code in codes.values()], codes)


def read_entries(folder: Path, where: str, *, is_trusted: bool = False) -> OwnEntries:
    """Read, import and check every entry of a folder.

    Args:
        folder: the folder of entries.
        where: place in the study that names it.
        is_trusted: True where the user has said that others may write it.

    Raises:
        UserError: what is wrong with the folder, or with the first entry that is; with file and
            line.
    """
    modules = read_folder(folder, where, is_trusted=is_trusted)
    own = own_entries(modules, entry_paths(modules, folder), str(folder))
    with bringing():  # beside the package's entries alone
        require_own_names(own.codes, str(folder))
    with own.bringing():
        for entry in own.entries:
            assert isinstance(entry, OwnEntry)
            entry.check()
    return own


def describe(error: BaseException, *, bare: type[BaseException] | None = None) -> str:
    """Write an error in one line: its type, unless it is `bare`, and its words."""
    words = " ".join(str(error).split()) or "no message"
    return words if bare is not None and type(error) is bare else f"{type(error).__name__}: {words}"


def line_of(error: BaseException) -> str | None:
    """Return `path:line` of the innermost place in own code that an error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(PIN)]
    return f"{own[-1].filename.removeprefix(PIN)}:{own[-1].lineno}" if own else None


def _other_bytes(path: str) -> UserError:
    return UserError(
        f"own entry {path} is not the code that the job's key names, so it is not run",
        where=f"{PIN}{path}",
        hint="launch the study again from its folder of entries",
    )
