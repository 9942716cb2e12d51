"""Params that choose an entry of a folder with its settings, and the marks these settings carry."""

from typing import Any

from jobs import lookup
from jobs.kind import Params, marked


def choices(params: type[Params]) -> tuple[tuple[str, str], ...]:
    """(param, folder) of every param that chooses an entry together with its settings."""
    return tuple(
        (name, str(declared.json_schema_extra["settings_of"]))
        for name, declared in params.model_fields.items()
        if isinstance(declared.json_schema_extra, dict)
        and "settings_of" in declared.json_schema_extra
    )


def marked_inside(folder: str, written: Any, mark: str) -> list[str]:
    """Settings in the mapping that choose an entry whose declaration carries a mark."""
    if not isinstance(written, dict) or written.get("name") not in lookup.names(folder):
        return []
    return [
        name
        for name in marked(lookup.find(folder, written["name"]).Params, mark)
        if name in written
    ]
