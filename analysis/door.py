"""`Door`: a folder of entries that fulfil one contract. Adding an entry is adding a file.

The file's name is the entry's name; where a name is written with hyphens, the file's has
underscores. Listing what exists imports nothing.
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar, cast

Entry = TypeVar("Entry")


class Door(Generic[Entry]):
    """Finds the entries of one folder by name.

    An entry is its module; or, where the contract is a class with default hooks, an instance of the
    module's class that is named after the file (`dpo_shuffled.py` holds `DpoShuffled`).
    """

    def __init__(
        self,
        what: str,
        package: str,
        *,
        separator: str = "_",
        contract: type[Entry] | None = None,
    ) -> None:
        """Declare a door.

        Args:
            what: the noun for one entry in messages, such as `metric`.
            package: the folder as a package, such as `analysis.metrics`.
            separator: what stands between the words of a name.
            contract: the class that every entry's class inherits from; None where the contract is a
                Protocol of modules.
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
            TypeError: the entry does not fulfil the contract.
        """
        stem = name.replace("-", "_")
        if stem not in _names(self.package, "_"):
            raise self.unknown(name, where)
        entry = _load(self.package, stem)
        if self.contract is not None and not isinstance(entry, self.contract):
            raise TypeError(
                f"{self.package}.{stem} must define a class {_class_name(stem)} that inherits from "
                f"{self.contract.__module__}.{self.contract.__name__}"
            )
        return cast(Entry, entry)

    def get(self, name: str) -> Entry | None:
        """Load the entry of a name that an older version wrote; None where it is gone."""
        return self.find(name) if name.replace("-", "_") in _names(self.package, "_") else None

    def unknown(self, name: str, where: str | None) -> Exception:
        """Make the fault for a name that no entry has."""
        near = difflib.get_close_matches(name, self.names(), n=1, cutoff=0.0)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return ValueError(f"no {self.what} {name!r}; there are: {', '.join(self.names())}{hint}")


def require_declared(entry: type, *names: str) -> None:
    """Refuse the class of an entry that leaves out what its contract wants declared.

    Raises:
        TypeError: names that neither the class nor a parent defines.
    """
    missing = [name for name in names if not hasattr(entry, name)]
    if missing:
        raise TypeError(
            f"{entry.__module__}.{entry.__qualname__} does not declare {', '.join(missing)}: "
            f"see {entry.__mro__[1].__module__}"
        )


@cache
def _names(package: str, separator: str) -> tuple[str, ...]:
    # Planning 10,000 jobs asks 200,000 times: listing the folder each time took half of it.
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"no package {package}"
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    files = [file for folder in folders for file in folder.glob("[a-z]*.py")]
    return tuple(sorted(file.stem.replace("_", separator) for file in files))


@cache
def _load(package: str, stem: str) -> object:
    module = import_module(f"{package}.{stem}")
    made = getattr(module, _class_name(stem), None)
    return made() if isinstance(made, type) else module


def _class_name(stem: str) -> str:
    return "".join(part.capitalize() for part in stem.split("_"))
