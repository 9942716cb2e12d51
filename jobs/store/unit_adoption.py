"""Adoption of units that other attempts at the same job have finished, earlier or right now.

A unit exists when its `UNIT.json` speaks of this plan and these prompts; it is adopted when every
byte is what that marker lists (on a remote root, where uploads appear whole: every size).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from jobs.artifacts.artifact import FileEntry, digest_bytes
from jobs.store.store_layout import (
    MARKER,
    UNITS,
    UnitMarker,
    is_of_unit,
    list_whole_shards,
    parse_marker,
)
from jobs.tokens.batches import Unit
from jobs.worker.attempt_folder import AttemptFolder


def is_finished(attempt: AttemptFolder, other: str, unit: Unit, plan_hash: str) -> bool:
    """Tell whether another attempt has finished a unit, as far as its marker says."""
    marker = _parse_marker(attempt.read_other(other, f"{UNITS}/{unit.name}/{MARKER}"))
    return marker is not None and is_of_unit(marker, unit, plan_hash)


def adopt_unit(attempt: AttemptFolder, others: Sequence[str], unit: Unit, plan_hash: str) -> bool:
    """Adopt a unit from the latest other attempt that has the whole of it; False for none."""
    relative = f"{UNITS}/{unit.name}"
    for other in reversed(others):
        data = attempt.read_other(other, f"{relative}/{MARKER}")
        marker = _parse_marker(data)
        if data is None or marker is None or not is_of_unit(marker, unit, plan_hash):
            continue
        if _is_whole(attempt, f"{attempt.artifact.attempt_folder(other)}/{relative}", unit, marker):
            # Shards of our own try that ran out of memory would be listed as part of the store.
            shutil.rmtree(attempt.path / relative, ignore_errors=True)
            attempt.adopt(relative, other, list_unit_files(data))
            return True
    return False


def _is_whole(attempt: AttemptFolder, name: str, unit: Unit, marker: UnitMarker) -> bool:
    """Tell whether the shards of a folder have the bytes, or remotely the sizes, of the marker."""
    storage = attempt.artifact.storage
    if storage.is_local:
        return list_whole_shards(storage.path(name), unit, marker["token_plan"]) is not None
    listed = {file: shard["bytes"] for file, shard in marker["shards"].items()}
    sizes = storage.sizes(name)
    return all(sizes.get(file) == size for file, size in listed.items())


def _parse_marker(data: bytes | None) -> UnitMarker | None:
    try:
        return parse_marker(data) if data else None
    except ValueError:
        return None  # cut off in the middle of a write: the unit does not exist


def list_unit_files(data: bytes) -> dict[str, FileEntry]:
    """Return size and digest of every file of a unit, from the bytes of its marker."""
    shards = {
        file: FileEntry(bytes=shard["bytes"], xxh3=shard["xxh3"])
        for file, shard in parse_marker(data)["shards"].items()
    }
    return {**shards, MARKER: FileEntry(bytes=len(data), xxh3=digest_bytes(data))}
