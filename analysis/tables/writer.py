"""The contract of a table writer, and how one is found: `writers/NAME.py` is the format NAME."""

from typing import Protocol, cast

from analysis.lookup import entry_names, load_entry
from analysis.tables.table import Table


class Writer(Protocol):
    """A module under `writers/`."""

    SUFFIX: str
    """File ending, with its dot."""

    def render(self, table: Table) -> bytes:
        """The table in this format: a complete file, the same bytes for equal tables."""


def formats() -> list[str]:
    """Names of the formats that exist; imports none of them."""
    return entry_names("writers")


def writer(name: str) -> Writer:
    """The writer of a format; ValueError with what exists and the nearest match."""
    return cast(Writer, load_entry("writers", name, "table format"))
