"""Looks at a root from a machine: what was written elsewhere, and who wins a name."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from cluster.errors import DeltascaleError
from cluster.storage import Storage

_LOOK_EVERY_S = 0.05


def look_absent(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Look for a name that is not there yet: some file systems remember that for a while.

    Args:
        asked: `root`, and `name`.
    """
    root = Storage(asked["root"])
    return {"root": root.url, "is_there": root.size(asked["name"]) is not None}


def look_written(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Wait until a name holds what another machine wrote; then race for a name, and write one.

    Nothing is written where the other's bytes never come: then it is another folder.

    Args:
        asked: `root`; `name` and its `bytes`; `wait_s`; `fence`, the name that all race for;
            `own`, the name of this machine's own file; `me`, its content.
    """
    root = Storage(asked["root"])
    begun = time.monotonic()
    seen_s = None
    while seen_s is None:
        if _read(root, asked["name"]) == asked["bytes"]:
            seen_s = time.monotonic() - begun
        elif time.monotonic() - begun >= asked["wait_s"]:
            return {"seen_s": None, "won": False, "fault": None}
        else:
            time.sleep(_LOOK_EVERY_S)
    try:
        won = root.create(asked["fence"], asked["me"].encode())
        root.write(asked["own"], asked["me"].encode())
    except DeltascaleError as fault:
        return {"seen_s": seen_s, "won": False, "fault": fault.error}
    return {"seen_s": seen_s, "won": won, "fault": None}


def _read(root: Storage, name: str) -> str | None:
    with suppress(FileNotFoundError):
        return root.read(name).decode(errors="replace")
    return None
