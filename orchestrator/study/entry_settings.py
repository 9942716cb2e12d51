"""Params that choose an entry of a folder with its settings, and the marks these settings carry."""

from jobs.behaviour.scorer import SCORERS
from jobs.kind import Params, marked

_DOORS = {"scorers": SCORERS}
"""Folders whose entries take settings."""


def choices(params: type[Params]) -> tuple[tuple[str, str], ...]:
    """(param, folder) of every param that chooses an entry together with its settings."""
    return tuple(
        (name, str(declared.json_schema_extra["settings_of"]))
        for name, declared in params.model_fields.items()
        if isinstance(declared.json_schema_extra, dict)
        and "settings_of" in declared.json_schema_extra
    )


def marked_inside(folder: str, written: object, mark: str) -> list[str]:
    """List the settings of a chosen entry that are given and whose declaration carries a mark."""
    door = _DOORS[folder]
    if not isinstance(written, dict) or written.get("name") not in door.names():
        return []
    marks = marked(door.find(written["name"]).Params, mark)
    return [name for name in marks if name in written]
