"""`Table`: the rows of a data file as they stand there, and the lines that are no rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row with its number."""

    number: int
    """Line in a text file, row in other files, from 1."""
    cells: Mapping[str, Any]
    """Column -> cell; empty cells may be left out."""

    def cell(self, name: str) -> Any:
        """Return a cell, or a part of a nested one (`prompt.text`); None where there is none."""
        if name in self.cells:
            return self.cells[name]
        outer, _, inner = name.partition(".")
        while inner:
            value = self.cells.get(outer)
            if isinstance(value, Mapping):
                return Row(number=self.number, cells=value).cell(inner)
            step, _, inner = inner.partition(".")
            outer = f"{outer}.{step}"
        return None


@dataclass(frozen=True, kw_only=True)
class Malformed:
    """A line or row that cannot be read at all."""

    row: int
    """Its number, counted as in `Row`."""
    reason: str
    """Why."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The content of a data file."""

    columns: Sequence[str]
    """Names of its columns, in their order."""
    rows: list[Row]
    """Rows that can be read."""
    malformed: list[Malformed] = field(default_factory=list)
    """The others."""
    inner: Sequence[str] = ()
    """Names of the columns inside others (`outer.inner`), where a schema says them."""

    @property
    def num_rows(self) -> int:
        """Number of rows, those that cannot be read included."""
        return len(self.rows) + len(self.malformed)
