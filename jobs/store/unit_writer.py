"""`UnitWriter`: writes one unit of a store, safetensors shards first and `UNIT.json` last."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int64

from cluster.disk.durable import sync
from jobs.store.shard_file import Pieces, open_durably, write_shard
from jobs.store.store_layout import MARKER, ShardEntry, array_prefix, make_marker
from jobs.taps.taps import Place
from jobs.tokens.batches import Unit

if TYPE_CHECKING:
    from torch import Tensor

SHARD_BYTES = 256 * 2**20
"""A shard is closed before it would grow beyond this."""


_NamedArrays = Mapping[Place, tuple[str, np.ndarray]]
"""Place -> name of the dtype, and rows [rows, d]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RowBlock:
    """Rows of one position to be stored, at every place, in the order of forward passes."""

    label: str
    """Position label."""
    tokens: Int64[np.ndarray, " rows"]
    """Index in the token plan of each row; no row comes twice."""
    reservoir: Bool[np.ndarray, " rows"]
    """True for rows of the reservoir chosen by hash."""
    rows: Mapping[Place, np.ndarray | Tensor]
    """Place -> [rows, d] in host memory, float32 or bfloat16, never changed again."""
    base: Mapping[Place, np.ndarray | Tensor] = field(default_factory=dict)
    """Place -> activations [reservoir rows, d] of the base model, in float32."""

    @property
    def nbytes(self) -> int:
        """Bytes of all rows in host memory."""
        return sum(int(rows.nbytes) for rows in (*self.rows.values(), *self.base.values()))


class UnitWriter:
    """Streams the rows of one unit into shards, then its summaries, then its marker.

    Arrays are not copied, but referenced until their shard is on disk. One shard fills while a
    thread writes the one before, so at most two are in memory.
    """

    def __init__(
        self, folder: Path, unit: Unit, plan_hash: str, *, shard_bytes: int = SHARD_BYTES
    ) -> None:
        """Delete the files of an earlier try at `folder/<unit>/`."""
        self._folder = folder / unit.name
        self._unit = unit
        self._marker = make_marker(unit, plan_hash)
        self._shard_bytes = shard_bytes
        self._open = _OpenShard(number=0)
        self._thread: ThreadPoolExecutor | None = None
        self._writing: Future[tuple[str, ShardEntry]] | None = None
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)

    def add(self, block: RowBlock) -> None:
        """Add rows; full shards go to disk, and a block may be cut between rows.

        Raises SurroundingsError when an earlier shard could not be written.
        """
        if self._writing is not None and self._writing.done():
            self._wait()  # a full disk stops the forward passes now
        rows, base = (
            {place: _to_named_array(array) for place, array in arrays.items()}
            for arrays in (block.rows, block.base)
        )
        row_bytes = 9 + sum(_row_bytes(array) for _, array in (*rows.values(), *base.values()))
        start = 0
        while start < len(block.tokens):
            room = (self._shard_bytes - self._open.nbytes) // row_bytes
            if room <= 0 and self._open.nbytes:
                self._close_shard()
                continue
            stop = start + max(room, 1)
            self._open.add_rows(block, rows, base, slice(start, stop))
            start = stop

    def finish(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, object]) -> None:
        """Write remaining rows, summaries, and last of all the marker with these facts."""
        for name in arrays:
            array = arrays[name]
            if self._open.nbytes and self._open.nbytes + array.nbytes > self._shard_bytes:
                self._close_shard()
            self._open.add_array(name, array)
        self._wait()
        if self._thread is not None:
            self._thread.shutdown()
        if self._open.nbytes:
            self._list_shard(*self._write(self._open))
        sync(self._folder)
        with open_durably(self._folder / MARKER) as stream:
            text = json.dumps({**facts, **self._marker}, sort_keys=True) + "\n"
            stream.write(text.encode())
        sync(self._folder)
        sync(self._folder.parent)

    def abandon(self) -> None:
        """Stop writing; files on disk have no marker and count for nothing."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _close_shard(self) -> None:
        """Start writing the open shard by a thread, after the shard before is on disk."""
        self._wait()
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="shard-writer")
        self._writing = self._thread.submit(self._write, self._open)
        self._open = _OpenShard(number=self._open.number + 1)

    def _wait(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            self._list_shard(*writing.result())

    def _write(self, shard: _OpenShard) -> tuple[str, ShardEntry]:
        file = f"shard-{shard.number:03d}.safetensors"
        return file, write_shard(self._folder / file, shard.tensors(self._unit))

    def _list_shard(self, file: str, entry: ShardEntry) -> None:
        self._marker["shards"][file] = entry


@dataclass(kw_only=True, eq=False)
class _OpenShard:
    """Arrays of the next shard."""

    number: int
    """Number of the shard, from 0; names of blocks of rows end with it."""
    nbytes: int = 0
    """Bytes of all arrays so far."""
    _rows: dict[str, list[np.ndarray]] = field(default_factory=dict)
    _dtypes: dict[str, str] = field(default_factory=dict)
    _arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def add_rows(
        self, block: RowBlock, rows: _NamedArrays, base: _NamedArrays, part: slice
    ) -> None:
        """Add a slice of the rows of a block."""
        number = f"{self.number:03d}"
        start = f"stored.{block.label}"
        self._append(f"{start}.tokens.{number}", "int64", block.tokens[part])
        self._append(f"{start}.reservoir.{number}", "bool", block.reservoir[part])
        for place, (dtype, array) in rows.items():
            name = f"{array_prefix(place, block.label)}rows.{number}"
            self._append(name, dtype, array[part])
        first, end = (int(block.reservoir[:stop].sum()) for stop in (part.start, part.stop))
        if first == end:
            return
        for place, (dtype, array) in base.items():
            name = f"{array_prefix(place, block.label)}base.{number}"
            self._append(name, dtype, array[first:end])

    def add_array(self, name: str, array: np.ndarray) -> None:
        """Add an array of a summary."""
        self._arrays[name] = array
        self.nbytes += array.nbytes

    def _append(self, name: str, dtype: str, array: np.ndarray) -> None:
        assert self._dtypes.setdefault(name, dtype) == dtype, f"{name} changes its dtype"
        self._rows.setdefault(name, []).append(array)
        self.nbytes += array.nbytes

    def tensors(self, unit: Unit) -> dict[str, Pieces]:
        """Return tensors by name; the unit's number makes names unique in the whole store."""
        tensors = {
            name: Pieces(
                dtype=self._dtypes[name],
                shape=(sum(len(array) for array in arrays), *arrays[0].shape[1:]),
                arrays=arrays,
            )
            for name, arrays in self._rows.items()
        }
        tensors |= {name: Pieces.of(array) for name, array in self._arrays.items()}
        return {f"{unit.name}.{name}": pieces for name, pieces in tensors.items()}


def _to_named_array(rows: np.ndarray | Tensor) -> tuple[str, np.ndarray]:
    """Return the dtype's name, and an array over the same memory; bfloat16 as int16 bits."""
    if isinstance(rows, np.ndarray):
        return str(rows.dtype), rows
    import torch

    if rows.dtype == torch.bfloat16:
        return "bfloat16", np.asarray(rows.contiguous().view(torch.int16).numpy())
    array = np.asarray(rows.numpy())
    return str(array.dtype), array


def _row_bytes(array: np.ndarray) -> int:
    return int(array.itemsize * array.shape[1])
