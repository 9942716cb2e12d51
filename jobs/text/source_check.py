"""Reads a source while a study is planned, so that faults in data are found before jobs run."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from cluster.errors import UserError
from jobs.text.format import Role, read


def check_source(role: Role, name: str, source: str | None, options: Mapping[str, object]) -> None:
    """Raise UserError for a source that cannot be read in this role; read once per process."""
    _check(role, name, source, _modified(source), json.dumps(options, sort_keys=True))


@lru_cache
def _check(role: Role, name: str, source: str | None, changed: str, options: str) -> None:
    path = Path(source) if source else None
    if not read(role, name, path, json.loads(options)).items:
        raise UserError(f"nothing usable in it as {role} of format {name!r}", where=source)


def _modified(source: str | None) -> str:
    """Return names and times of the source's files, which differ after an edit."""
    if source is None or not Path(source).exists():
        return ""
    files = [Path(source), *sorted(Path(source).rglob("*"))]
    return " ".join(f"{file.name}:{file.stat().st_mtime_ns}" for file in files)
