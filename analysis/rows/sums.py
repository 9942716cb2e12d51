"""Sums over rows that merge by addition."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """Fields that are all sums over rows."""

    def merge(self, other: Self) -> Self:
        """Return the sums over the rows of both."""
        names = [field.name for field in fields(self)]
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in names})
