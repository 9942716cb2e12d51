"""`BaseRows`: the base model's rows of one token plan on disk, in fp32, unit by unit.

The spool of a pairing whose models take turns; where the root is a local disk, also a cache under
`<root>/cache/base_rows/`, shared by every aligned model of a base. Its name is a digest of all that
decides a bit of it, the machine included; it is never an input of a job and may be deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.artifacts.identity import key_of
from jobs.store.activation_units import (
    MARKER,
    RowBlock,
    UnitWriter,
    array_prefix,
    list_whole_shards,
)
from jobs.taps.taps import Place
from jobs.tokens.batches import Batch, Unit

if TYPE_CHECKING:
    from torch import Tensor

CACHE = "cache/base_rows"
"""Below the root; `gc` may take it away."""
_LABEL = "base"
_FACTS = "facts.json"


class SpooledRows:
    """A folder of units, each holding the gathered rows of its batches in order."""

    def __init__(self, folder: Path, plan_hash: str, places: Sequence[Place]) -> None:
        self._folder = folder
        self._plan_hash = plan_hash
        self._places = places

    def has(self, unit: Unit) -> bool:
        """True when every byte of the unit's rows is there."""
        return list_whole_shards(self._folder / unit.name, unit, self._plan_hash) is not None

    def writer(self, unit: Unit) -> SpooledUnitWriter:
        """Where the rows of a unit's batches are written."""
        return SpooledUnitWriter(self._folder, unit, self._plan_hash)

    def rows(self, unit: Unit) -> SpooledUnitReader | None:
        """The rows of a unit, open, so that no deleting disturbs them; None when not there."""
        with suppress(FileNotFoundError):
            return SpooledUnitReader(self._folder / unit.name, self._places)
        return None

    def drop(self, unit: Unit) -> None:
        """Delete a unit's rows."""
        shutil.rmtree(self._folder / unit.name, ignore_errors=True)

    def facts(self) -> Mapping[str, Any] | None:
        """What was found of the base when its rows were made; None when nobody wrote it."""
        with suppress(OSError, ValueError):
            found: Mapping[str, Any] = json.loads((self._folder / _FACTS).read_bytes())
            return found
        return None

    def keep_facts(self, facts: Mapping[str, Any]) -> None:
        """Write them beside the rows."""
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f"{_FACTS}.tmp-{uuid.uuid4().hex[:8]}"
        temporary.write_text(json.dumps(facts, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(temporary, self._folder / _FACTS)


class SpooledUnitWriter:
    """Writes the rows of one unit, batch after batch; it appears whole or not at all."""

    def __init__(self, folder: Path, unit: Unit, plan_hash: str) -> None:
        self._unit, self._plan_hash = unit, plan_hash
        self._target = folder / unit.name
        self._own = folder / f".tmp-{uuid.uuid4().hex[:8]}"
        self._writer = UnitWriter(self._own, unit, plan_hash)

    def add(self, batch: Batch, rows: Mapping[Place, Tensor]) -> None:
        """Take the rows of one batch, in fp32 host memory, all that it gathers."""
        none = np.zeros(len(batch.gathered), dtype=bool)
        self._writer.add(RowBlock(label=_LABEL, tokens=batch.tokens, reservoir=none, rows=rows))

    def finish(self) -> None:
        """Make the unit appear, unless somebody else was first, with the same bytes."""
        try:
            self._writer.finish({}, {})
            if list_whole_shards(self._target, self._unit, self._plan_hash) is None:
                shutil.rmtree(self._target, ignore_errors=True)
            with suppress(OSError):
                os.rename(self._own / self._target.name, self._target)
        finally:
            shutil.rmtree(self._own, ignore_errors=True)

    def abandon(self) -> None:
        """Leave nothing."""
        self._writer.abandon()
        shutil.rmtree(self._own, ignore_errors=True)


class SpooledUnitReader:
    """Reads one unit's rows from the start, batch after batch."""

    def __init__(self, folder: Path, places: Sequence[Place]) -> None:
        """Raises FileNotFoundError when they are not there."""
        from safetensors import safe_open

        self._places = places
        self._prefix = f"{folder.name}."
        files = sorted(json.loads((folder / MARKER).read_bytes())["shards"])
        self._shards: list[Any] = [safe_open(folder / file, framework="pt") for file in files]
        self._next = 0

    def take(self, num_rows: int, device: Any) -> dict[Place, Tensor]:
        """The next rows [num_rows, d] at every place, on a device."""
        import torch

        parts: dict[Place, list[Tensor]] = {place: [] for place in self._places}
        start, stop, before = self._next, self._next + num_rows, 0
        for number, shard in enumerate(self._shards):
            tokens = shard.get_slice(f"{self._prefix}stored.{_LABEL}.tokens.{number:03d}")
            (length,) = tokens.get_shape()
            low, high = max(start - before, 0), min(stop - before, length)
            if low < high:
                for place, found in parts.items():
                    name = f"{self._prefix}{array_prefix(place, _LABEL)}rows.{number:03d}"
                    found.append(shard.get_slice(name)[low:high])
            before += length
        assert stop <= before, "the batches are not those the rows were made of"
        self._next = stop
        return {place: torch.cat(found).to(device) for place, found in parts.items()}


def cache_name(identity: Mapping[str, Any]) -> str:
    """Folder of the rows that this decides: 16 hex digits."""
    return key_of(dict(identity))[:16]
