"""Contract of a table format, and the door to its entries: `writers/NAME.py` is the format NAME."""

from typing import Protocol

from analysis.door import Door
from analysis.tables.table import Table


class Writer(Protocol):
    """A module under `writers/`."""

    SUFFIX: str
    """File ending, with its dot."""

    def render(self, table: Table) -> bytes:
        """Return the table in this format: a complete file, the same bytes for equal tables."""
        ...


WRITERS: Door[Writer] = Door("table format", "analysis.tables.writers", contract=Writer)
