"""The contract of a table writer, and how one is found: `writers/NAME.py` is the format NAME."""

import importlib
import pkgutil
from typing import Protocol, cast

import analysis.writers
from analysis.selection import nearest
from analysis.table import Table


class Writer(Protocol):
    """A module under `writers/`."""

    SUFFIX: str
    """File ending, with its dot."""

    def render(self, table: Table) -> bytes:
        """The table in this format: a complete file, the same bytes for equal tables."""


def formats() -> list[str]:
    """Names of the formats that exist; imports none of them."""
    return sorted(module.name for module in pkgutil.iter_modules(analysis.writers.__path__))


def writer(name: str) -> Writer:
    """The writer of a format; ValueError with what exists and the nearest match."""
    if name not in formats():
        raise ValueError(f"there is no table format {name!r}{nearest(name, formats())}")
    return cast(Writer, importlib.import_module(f"analysis.writers.{name}"))
