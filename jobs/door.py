"""`Door`: a folder of entries of `jobs/` behind one contract; unknown names are user errors."""

from typing import TypeVar

from analysis import door
from cluster.errors import UserError, unknown_name

Entry = TypeVar("Entry")


class Door(door.Door[Entry]):
    """Finds the entries of one folder by the names that study files use."""

    def __init__(self, what: str, package: str, *, contract: type, separator: str = "-") -> None:
        """Declare a door; names of entries are written with hyphens, as in study files."""
        super().__init__(what, package, contract=contract, separator=separator)

    def unknown(self, name: str, where: str | None) -> UserError:
        """Make the fault for a name that no entry has: what exists, and the nearest match."""
        return unknown_name(self.what, name, self.names(), where=where)
