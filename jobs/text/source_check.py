"""Reads a source while a study is planned, so that bad data is heard of before money is spent."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from cluster.errors import UserError
from jobs.text import format


def check_source(role: str, name: str, source: str | None, options: Mapping[str, Any]) -> None:
    """Raise UserError for a source that cannot be read as this; each is read once per process."""
    _check(role, name, source, _changed(source), json.dumps(options, sort_keys=True))


@lru_cache
def _check(role: str, name: str, source: str | None, changed: str, options: str) -> None:
    path = Path(source) if source else None
    if not format.read(role, name, path, json.loads(options)).items:
        raise UserError(f"nothing usable in it as {role} of format {name!r}", where=source)


def _changed(source: str | None) -> str:
    """Something that differs after the source was edited."""
    if source is None or not Path(source).exists():
        return ""
    files = [Path(source), *sorted(Path(source).rglob("*"))]
    return " ".join(f"{file.name}:{file.stat().st_mtime_ns}" for file in files)
