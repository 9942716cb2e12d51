"""`Door`: a folder of entries that fulfil one contract. Adding an entry is adding a file.

The file's name is the entry's name; where a name is written with hyphens, the file's has
underscores. Listing what exists imports nothing.
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import get_annotations
from pathlib import Path
from types import ModuleType
from typing import Generic, Protocol, TypeVar, cast

Entry = TypeVar("Entry")


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
        """List the names of all entries, sorted."""
        return list(_names(self.package, self.separator))

    def find(self, name: str, *, where: str | None = None) -> Entry:
        """Load the entry of a name.

        Args:
            name: as a study writes it.
            where: where it was written, for the message.

        Raises:
            ValueError: no entry has this name; the message lists those that exist and the nearest.
            TypeError: the entry lacks something that its contract wants; the message names it.
        """
        stem = name.replace("-", "_")
        if stem not in _names(self.package, "_"):
            raise self.unknown(name, where)
        return cast(Entry, _load(self.package, stem, self.contract))

    def get(self, name: str) -> Entry | None:
        """Load the entry of a name that an older version wrote; None where it is gone."""
        return self.find(name) if name.replace("-", "_") in _names(self.package, "_") else None

    def unknown(self, name: str, where: str | None) -> Exception:
        """Make the fault for a name that no entry has."""
        near = difflib.get_close_matches(name, self.names(), n=1, cutoff=0.0)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return ValueError(f"no {self.what} {name!r}; there are: {', '.join(self.names())}{hint}")


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
    entry: ModuleType | type = import_module(f"{package}.{stem}")
    see = f"see {contract.__module__.replace('.', '/')}.py"
    file = f"{package.replace('.', '/')}/{stem}.py"
    if Protocol not in contract.__bases__:
        entry = getattr(entry, _class_name(stem), entry)
        if not (isinstance(entry, type) and issubclass(entry, contract)):
            wanted = f"{_class_name(stem)} that inherits from {contract.__name__}"
            raise TypeError(f"{file} must define a class {wanted}: {see}")
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


def _class_name(stem: str) -> str:
    return "".join(part.capitalize() for part in stem.split("_"))
