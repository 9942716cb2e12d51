"""`Door`: a folder of entries that fulfil one contract. Adding an entry is adding a file.

The file's name is the entry's name; where a name is written with hyphens, the file's has
underscores. Listing what exists imports nothing.

Entries that a study brings along stand beside the package's while they are `brought`: who reads
them, and from where, is decided on another floor.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import get_annotations
from pathlib import Path
from types import ModuleType
from typing import Generic, Protocol, TypeVar, cast

Entry = TypeVar("Entry")


class Brought(Protocol):
    """One entry that a study brings along."""

    def __hash__(self) -> int:
        """Return equal numbers for equal code."""

    @property
    def package(self) -> str:
        """The door's folder as a package, such as `analysis.metrics`."""

    @property
    def stem(self) -> str:
        """Name of its file, without suffix."""

    @property
    def place(self) -> str:
        """Return the path of the entry's file, as messages name it."""

    def load(self) -> ModuleType | object:
        """Import it and return its module, equal ones once; or the entry itself.

        Raises:
            LookupError: its code is not here.
        """


class Door(Generic[Entry]):
    """Finds the entries of one folder by name.

    An entry is its module; or, where the contract is a class with default hooks, an instance of the
    module's class that is named after the file (`dpo_shuffled.py` holds `DpoShuffled`).
    """

    def __init__(self, what: str, package: str, *, contract: type, separator: str = "_") -> None:
        """Declare a door.

        Args:
            what: the noun for one entry in messages, such as `metric`.
            package: the folder as a package, such as `analysis.metrics`.
            contract: what every entry fulfils: the class that its class inherits from, or the
                Protocol whose names its module defines.
            separator: what stands between the words of a name.
        """
        self.what = what
        self.package = package
        self.separator = separator
        self.contract = contract

    def names(self) -> list[str]:
        """List the names of all entries, those that were brought along too, sorted."""
        names = list(_names(self.package, self.separator))
        if brought := self._brought:
            names = sorted([*names, *(stem.replace("_", self.separator) for stem in brought)])
        return names

    def package_names(self) -> list[str]:
        """List the names of the package's entries, sorted: the same for every study."""
        return list(_names(self.package, self.separator))

    def entries(self) -> list[Entry]:
        """Load all entries, in the order of their names, but those whose code is not here."""
        loaded = (self.get(name) for name in self.names())
        return [entry for entry in loaded if entry is not None]

    def find(self, name: str, *, where: str | None = None) -> Entry:
        """Load the entry of a name.

        Args:
            name: as a study writes it.
            where: where it was written, for the message.

        Raises:
            ValueError: no entry has this name; the message lists those that exist and the nearest.
            TypeError: the entry lacks something that its contract wants; the message names it.
            LookupError: it was brought along, and its code is not here.
        """
        stem = name.replace("-", "_")
        brought = self._brought.get(stem)
        if brought is not None:
            return cast(Entry, entry_of(brought, self.contract))
        if stem not in _names(self.package, "_"):
            raise self.unknown(name, where)
        return cast(Entry, _load(self.package, stem, self.contract))

    def get(self, name: str) -> Entry | None:
        """Load the entry of a name that is known here; None where it is gone, or not here."""
        stem = name.replace("-", "_")
        if stem not in self._brought and stem not in _names(self.package, "_"):
            return None
        try:
            return self.find(name)
        except LookupError:
            return None

    def unknown(self, name: str, where: str | None) -> Exception:
        """Make the fault for a name that no entry has."""
        near = difflib.get_close_matches(name, self.names(), n=1, cutoff=0.0)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return ValueError(f"no {self.what} {name!r}; there are: {', '.join(self.names())}{hint}")

    @property
    def _brought(self) -> Mapping[str, Brought]:
        return _frames[-1].get(self.package, {}) if _frames else {}


_frames: list[dict[str, dict[str, Brought]]] = []
"""Package -> file name -> what is brought, the innermost last: one process works at one study at a
time, and a job's threads see what the job sees."""


@contextmanager
def bringing(entries: Sequence[Brought] = ()) -> Iterator[None]:
    """Let doors find these entries beside the package's, and no others, while the block runs."""
    _frames.append({})
    bring(entries)
    try:
        yield
    finally:
        _frames.pop()


def bring(entries: Sequence[Brought]) -> None:
    """Let doors find these entries, too, until the block around ends; nothing outside of one."""
    if _frames:
        frame = {package: dict(entries) for package, entries in _frames[-1].items()}
        for entry in entries:
            frame.setdefault(entry.package, {})[entry.stem] = entry
        _frames[-1] = frame


def brought_now() -> Hashable:
    """Return what differs where doors find other entries: for caches of what was read off them."""
    frame = _frames[-1] if _frames else {}
    return frozenset(entry for entries in frame.values() for entry in entries.values())


@cache
def _names(package: str, separator: str) -> tuple[str, ...]:
    # Planning 10,000 jobs asks 200,000 times: listing the folder each time took half of it.
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"no package {package}"
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    files = [file for folder in folders for file in folder.glob("[a-z]*.py")]
    return tuple(sorted(file.stem.replace("_", separator) for file in files))


@cache
def _load(package: str, stem: str, contract: type) -> object:
    module = import_module(f"{package}.{stem}")
    return _made(module, stem, contract, f"{package.replace('.', '/')}/{stem}.py")


@cache
def entry_of(brought: Brought, contract: type) -> object:
    """Load an entry that was brought along, once.

    Raises:
        TypeError: it lacks something that its contract wants; the message names it.
        LookupError: its code is not here.
    """
    loaded = brought.load()
    if not isinstance(loaded, ModuleType):
        return loaded
    return _made(loaded, brought.stem, contract, brought.place)


def _made(module: ModuleType, stem: str, contract: type, file: str) -> object:
    """Return the entry that a module is or holds; TypeError where it is none of the contract."""
    entry: ModuleType | type = module
    see = f"see {contract.__module__.replace('.', '/')}.py"
    if Protocol not in contract.__bases__:
        entry = getattr(module, class_name(stem), module)
        if not (isinstance(entry, type) and issubclass(entry, contract)):
            wanted = f"{class_name(stem)} that inherits from {contract.__name__}"
            own = (v for v in vars(module).values() if isinstance(v, type))
            classes = [v.__name__ for v in own if v.__module__ == module.__name__]
            has = f" (it defines {', '.join(classes)})" if classes else ""
            raise TypeError(f"{file} must define a class {wanted}{has}: {see}")
    missing = _missing(entry, contract)
    if missing:
        raise TypeError(f"{file} lacks {', '.join(missing)}: {see}")
    return entry() if isinstance(entry, type) else entry


def _missing(entry: ModuleType | type, contract: type) -> list[str]:
    declaring = entry.__mro__ if isinstance(entry, type) else contract.__mro__
    names = [name for base in declaring for name in (*get_annotations(base), *vars(base))]
    abstract: frozenset[str] = getattr(entry, "__abstractmethods__", frozenset())
    return [
        name
        for name in dict.fromkeys(names)
        if not name.startswith("_") and (name in abstract or not hasattr(entry, name))
    ]


def class_name(stem: str) -> str:
    """Return the name of the class that a file of this name holds."""
    return "".join(part.capitalize() for part in stem.split("_"))
