"""Writing a store unit by unit: safetensors shards first, `UNIT.json` last, and what a kill left.

A unit counts only when its `UNIT.json` parses, speaks of this plan and these prompts, and every
shard has the digest it lists. What is missing is a difference of ids, never a listing or a count.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Int64

from cluster.local_disk import sync
from jobs.artifacts.artifact import digest_file
from jobs.store.shard_file import Pieces, open_durably, write_shard
from jobs.taps.taps import Place
from jobs.tokens.batches import Unit

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "units"
"""Folder of an attempt that holds one folder per unit."""
MARKER = "UNIT.json"
"""Written last; without it a unit does not exist."""
SHARD_BYTES = 256 * 2**20
"""A shard is closed before it would grow beyond this."""


_Plain = Mapping[Place, tuple[str, np.ndarray]]
"""Place -> name of the dtype, and the rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RowBlock:
    """Rows of one position to be stored, at every place, in the order they came."""

    label: str
    """Position label."""
    tokens: Int64[np.ndarray, " rows"]
    """The token of the plan that each row stands at; no row comes twice."""
    reservoir: Bool[np.ndarray, " rows"]
    """The row belongs to the reservoir chosen by hash."""
    rows: Mapping[Place, np.ndarray | Tensor]
    """Place -> [rows, d] in host memory, float32 or bfloat16, never changed again."""
    base: Mapping[Place, np.ndarray | Tensor] = field(default_factory=dict)
    """Place -> the base model's activations at the rows of the reservoir only, in float32."""


class UnitWriter:
    """Streams the rows of one unit into shards, then its summaries, then its marker.

    Arrays are not copied: what is given is held until its shard is on disk. One shard fills while
    the one before is written by a thread, so at most two are in memory.
    """

    def __init__(
        self, folder: Path, unit: Unit, plan_hash: str, *, shard_bytes: int = SHARD_BYTES
    ) -> None:
        """Clear what an earlier try left at `folder/<unit>/`."""
        self._place = folder / unit.name
        self._unit = unit
        self._identity = _identity(unit, plan_hash)
        self._shard_bytes = shard_bytes
        self._open = _OpenShard(number=0)
        self._thread: ThreadPoolExecutor | None = None
        self._writing: Future[tuple[str, Mapping[str, Any]]] | None = None
        self._shards: dict[str, Mapping[str, Any]] = {}
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir(parents=True)

    def add(self, block: RowBlock) -> None:
        """Take rows; a full shard goes to disk. Raises SurroundingsError when an earlier did not.

        A block is cut between rows wherever a shard is full.
        """
        if self._writing is not None and self._writing.done():
            self._wait()  # a disk that is full stops the forward passes now
        rows, base = (
            {place: _plain(array) for place, array in arrays.items()}
            for arrays in (block.rows, block.base)
        )
        width = 9 + sum(_row_bytes(array) for _, array in (*rows.values(), *base.values()))
        start = 0
        while start < len(block.tokens):
            room = (self._shard_bytes - self._open.nbytes) // width
            if room <= 0 and self._open.nbytes:
                self._close_shard()
                continue
            stop = start + max(room, 1)
            self._open.add_rows(block, rows, base, slice(start, stop))
            start = stop

    def finish(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Write what is left, the summaries, and last of all the marker with these small facts."""
        for name in arrays:
            array = arrays[name]
            if self._open.nbytes and self._open.nbytes + array.nbytes > self._shard_bytes:
                self._close_shard()
            self._open.add_array(name, array)
        self._wait()
        if self._thread is not None:
            self._thread.shutdown()
        if self._open.nbytes:
            self._note(*self._write(self._open))
        marker = {**self._identity, **facts, "shards": self._shards}
        sync(self._place)
        with open_durably(self._place / MARKER) as stream:
            stream.write((json.dumps(marker, sort_keys=True) + "\n").encode())
        sync(self._place)
        sync(self._place.parent)

    def abandon(self) -> None:
        """Stop; what is on disk has no marker and counts for nothing."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _close_shard(self) -> None:
        """Let a thread write the open shard, once it is done with the one before."""
        self._wait()
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="shard-writer")
        self._writing = self._thread.submit(self._write, self._open)
        self._open = _OpenShard(number=self._open.number + 1)

    def _wait(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            self._note(*writing.result())

    def _write(self, shard: _OpenShard) -> tuple[str, Mapping[str, Any]]:
        file = f"shard-{shard.number:03d}.safetensors"
        return file, write_shard(self._place / file, shard.tensors(self._unit))

    def _note(self, file: str, entry: Mapping[str, Any]) -> None:
        self._shards[file] = entry


@dataclass(kw_only=True, eq=False)
class _OpenShard:
    """What the next file will hold."""

    number: int
    """From 0; blocks of rows are named by it."""
    nbytes: int = 0
    """Bytes of all arrays so far."""
    _rows: dict[str, list[np.ndarray]] = field(default_factory=dict)
    _dtypes: dict[str, str] = field(default_factory=dict)
    _arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def add_rows(self, block: RowBlock, rows: _Plain, base: _Plain, part: slice) -> None:
        """Take some rows of a block."""
        number = f"{self.number:03d}"
        of = f"stored.{block.label}"
        self._append(f"{of}.tokens.{number}", "int64", block.tokens[part])
        self._append(f"{of}.reservoir.{number}", "bool", block.reservoir[part])
        for place, (dtype, array) in rows.items():
            name = f"{array_prefix(place, block.label)}rows.{number}"
            self._append(name, dtype, array[part])
        first, end = (int(block.reservoir[:each].sum()) for each in (part.start, part.stop))
        if first == end:
            return
        for place, (dtype, array) in base.items():
            name = f"{array_prefix(place, block.label)}base.{number}"
            self._append(name, dtype, array[first:end])

    def add_array(self, name: str, array: np.ndarray) -> None:
        """Take a summary's array."""
        self._arrays[name] = array
        self.nbytes += array.nbytes

    def _append(self, name: str, dtype: str, array: np.ndarray) -> None:
        assert self._dtypes.setdefault(name, dtype) == dtype, f"{name} changes its dtype"
        self._rows.setdefault(name, []).append(array)
        self.nbytes += array.nbytes

    def tensors(self, unit: Unit) -> dict[str, Pieces]:
        """Name in the file -> tensor; the unit's number makes names unique in the whole store."""
        found = {
            name: Pieces(
                dtype=self._dtypes[name],
                shape=(sum(len(array) for array in arrays), *arrays[0].shape[1:]),
                arrays=arrays,
            )
            for name, arrays in self._rows.items()
        }
        found |= {name: Pieces.of(array) for name, array in self._arrays.items()}
        return {f"{unit.name}.{name}": pieces for name, pieces in found.items()}


def array_prefix(place: Place, label: str) -> str:
    """What the names of the arrays of one place and position begin with."""
    return f"{place[0]}.{place[1]}.{label}."


def _plain(rows: np.ndarray | Tensor) -> tuple[str, np.ndarray]:
    """Name of the dtype, and an array over the same memory; bfloat16 as uint16."""
    if isinstance(rows, np.ndarray):
        return str(rows.dtype), rows
    import torch

    if rows.dtype == torch.bfloat16:
        return "bfloat16", np.asarray(rows.contiguous().view(torch.int16).numpy())
    array = np.asarray(rows.numpy())
    return str(array.dtype), array


def _row_bytes(array: np.ndarray) -> int:
    return int(array.itemsize * array.shape[1])


def _identity(unit: Unit, plan_hash: str) -> dict[str, Any]:
    return {
        "unit": unit.number,
        "group": unit.group,
        "token_plan": plan_hash,
        "members": unit.digest,
        "num_prompts": len(unit.members),
        "num_tokens": unit.num_tokens,
    }


def is_of_unit(marker: Mapping[str, Any], unit: Unit, plan_hash: str) -> bool:
    """True when a marker speaks of this plan and these prompts."""
    return all(marker.get(name) == value for name, value in _identity(unit, plan_hash).items())


def list_whole_shards(place: Path, unit: Unit, plan_hash: str) -> list[str] | None:
    """Names of the shards when every byte of the unit is what its marker says, else None."""
    try:
        marker = json.loads((place / MARKER).read_bytes())
        shards = marker["shards"]
        if is_of_unit(marker, unit, plan_hash) and all(
            digest_file(place / file) == shards[file]["xxh3"] for file in shards
        ):
            return list(shards)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # cut off in the middle of a write: it does not exist
    return None
