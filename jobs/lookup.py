"""From a name in a study file to the file that bears it. There is no registry to edit.

A hyphen in a study is an underscore in a file name. Listing what exists imports nothing.
"""

import importlib
from functools import cache
from pathlib import Path
from typing import Any

from cluster.errors import unknown_name

_HERE = Path(__file__).parent
_HOMES = {
    "kinds": "kinds",
    "families": "models/families",
    "formats": "text/formats",
    "transforms": "text/transforms",
    "scorers": "behaviour/scorers",
    "directions": "generation/directions",
    "interventions": "intervening/interventions",
}
"""Folder of entries -> where it lies in `jobs/`."""
_SINGULAR = {"families": "model family", "kinds": "kind"}


def names(folder: str) -> list[str]:
    """Names of all entries of a plural folder (`kinds`, `families`, `transforms`, …), sorted."""
    return list(_names(folder))


@cache
def _names(folder: str) -> tuple[str, ...]:
    # Planning 10,000 jobs asks 200,000 times: listing the folder each time took half of it.
    files = (_HERE / _HOMES[folder]).glob("[a-z]*.py")
    return tuple(sorted(file.stem.replace("_", "-") for file in files))


def find(folder: str, name: str, *, where: str | None = None) -> Any:
    """The module behind a name. Raises UserError with what exists and the nearest match."""
    if name.replace("_", "-") not in names(folder):
        what = _SINGULAR.get(folder, folder.removesuffix("s"))
        raise unknown_name(what, name, names(folder), where=where)
    package = _HOMES[folder].replace("/", ".")
    return importlib.import_module(f"jobs.{package}.{name.replace('-', '_')}")
