"""`Spool`: the base model's rows of one token plan on disk, in fp32, unit by unit.

They are the spool of models that take turns; where the root is a local disk, also a cache under
`<root>/cache/base_rows/`, shared by every aligned model of a base. The folder's name is a digest of
all that decides a bit of the rows, the machine included; it is never an input of a job and may be
deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from jaxtyping import Bool, Float32
from pydantic import TypeAdapter
from safetensors import safe_open
from torch import Tensor

from cluster.checked_json import parse_as
from cluster.machine.resources import processor_name
from jobs.artifacts.artifact import digest_bytes
from jobs.artifacts.identity import key_of
from jobs.extraction.extract_params import VERSION
from jobs.extraction.extraction_plan import ExtractionPlan
from jobs.store.store_layout import MARKER, array_prefix, list_whole_shards
from jobs.store.unit_writer import RowBlock, UnitWriter
from jobs.taps.taps import Place
from jobs.tokens.batches import Batch, Unit
from jobs.worker.work import Work

CACHE = "cache/base_rows"
"""Folder below the root; `gc` may delete it."""
_LABEL = "base"
_FACTS = "facts.json"
_FLOOR = TypeAdapter(dict[str, dict[str, dict[str, float]]])
_FLOAT32 = 4


class Spool:
    """The rows of the base model for one extraction, at any token budget."""

    def __init__(self, work: Work, extraction: ExtractionPlan, device: str) -> None:
        self._work = work
        self._extraction = extraction
        self._device = device

    @cached_property
    def room(self) -> int:
        """Bytes that the rows may take: as the study allows, at most half of the free disk."""
        attempt = self._work.attempt
        free = shutil.disk_usage(attempt.path).free // 2
        storage = attempt.artifact.storage
        used = sum(storage.sizes(CACHE).values()) if storage.is_local else 0
        return max(0, min(int(self._extraction.params.spool_gb * 1e9) - used, free))

    @cached_property
    def is_shared(self) -> bool:
        """True where the rows stay for other extractions of this base and these tokens.

        That is on a local root with room for all rows, or where they exist already.
        """
        storage = self._work.attempt.artifact.storage
        if not storage.is_local:
            return False
        if self.bytes <= self.room:
            return True
        return self._shared_folder(self._extraction.params.token_budget).exists()

    def bytes_of(self, unit: Unit) -> int:
        """Return the bytes of the rows of a unit."""
        plan = self._extraction.tokens
        rows = sum(
            int(self._rows[plan.offsets[m] : plan.offsets[m + 1]].sum()) for m in unit.members
        )
        return rows * self._row_bytes

    @property
    def bytes(self) -> int:
        """Bytes of all rows."""
        return int(self._rows.sum()) * self._row_bytes

    def at(self, token_budget: int) -> SpooledRows:
        """Return the rows that batches of a token budget give."""
        private = self._work.folder / "scratch" / "base_rows" / str(token_budget)
        folder = self._shared_folder(token_budget) if self.is_shared else private
        return SpooledRows(folder, self._extraction.tokens.hash, self._extraction.places)

    def _shared_folder(self, token_budget: int) -> Path:
        name = f"{CACHE}/{key_of(self._identity(token_budget))[:16]}"
        return self._work.attempt.artifact.storage.path(name)

    @cached_property
    def _rows(self) -> Bool[np.ndarray, " tokens"]:
        """True for tokens of the plan that some position needs."""
        needed = [position.tokens for position in self._extraction.positions]
        return np.asarray(np.logical_or.reduce(needed))

    @cached_property
    def _row_bytes(self) -> int:
        return _FLOAT32 * sum(self._extraction.width(place) for place in self._extraction.places)

    def _identity(self, token_budget: int) -> dict[str, object]:
        """Return all that decides a bit of the rows; other machines round differently."""
        extraction, base = self._extraction, self._work.input("base")
        on_gpu = self._device != "cpu"
        return {
            "base": [base.key, base.record_digest],
            "token_plan": extraction.tokens.hash,
            "rows": digest_bytes(self._rows.tobytes()),
            "places": [list(place) for place in extraction.places],
            "dtype": extraction.dtype,
            "rounds_weights": extraction.rounds_weights,
            "attention": extraction.params.attention,
            "unit_tokens": extraction.params.unit_tokens,
            "token_budget": token_budget,
            "noise_floor_prompts": extraction.params.noise_floor_prompts,
            "positions": [position.label for position in extraction.positions],
            "device": torch.cuda.get_device_name() if on_gpu else processor_name(),
            "kernels": torch.backends.cpu.get_cpu_capability(),
            "num_gpus": extraction.params.num_gpus,
            "threads": self._work.threads,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "version": VERSION,
        }


class SpooledRows:
    """A folder of units, each with the gathered rows of its batches in order."""

    def __init__(self, folder: Path, plan_hash: str, places: Sequence[Place]) -> None:
        self._folder = folder
        self._plan_hash = plan_hash
        self._places = places

    def has(self, unit: Unit) -> bool:
        """Tell whether every byte of a unit's rows is on disk."""
        return list_whole_shards(self._folder / unit.name, unit, self._plan_hash) is not None

    def writer(self, unit: Unit) -> SpooledUnitWriter:
        """Return a writer for the rows of a unit's batches."""
        return SpooledUnitWriter(self._folder, unit, self._plan_hash)

    def reader(self, unit: Unit) -> SpooledUnitReader | None:
        """Open the rows of a unit, so that their deletion does no harm; None when deleted."""
        with suppress(FileNotFoundError):
            return SpooledUnitReader(self._folder / unit.name, self._places)
        return None

    def drop(self, unit: Unit) -> None:
        """Delete the rows of a unit."""
        shutil.rmtree(self._folder / unit.name, ignore_errors=True)

    def read_floor(self) -> dict[str, dict[str, float]] | None:
        """Read the noise floor that was written with the rows; None when there is none."""
        with suppress(OSError, ValueError):
            return parse_as(_FLOOR, (self._folder / _FACTS).read_bytes())["floor"]
        return None

    def write_floor(self, floor: Mapping[str, dict[str, float]]) -> None:
        """Write the noise floor of the base model, as in `store.json`, with its rows."""
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f"{_FACTS}.tmp-{uuid.uuid4().hex[:8]}"
        temporary.write_text(json.dumps({"floor": floor}, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(temporary, self._folder / _FACTS)


class SpooledUnitWriter:
    """Writes the rows of one unit, batch after batch; the unit appears whole or not at all."""

    def __init__(self, folder: Path, unit: Unit, plan_hash: str) -> None:
        self._unit, self._plan_hash = unit, plan_hash
        self._target = folder / unit.name
        self._temporary = folder / f".tmp-{uuid.uuid4().hex[:16]}"
        self._writer = UnitWriter(self._temporary, unit, plan_hash)

    def add(self, batch: Batch, rows: Mapping[Place, Tensor]) -> None:
        """Add all gathered rows [rows, d] of one batch, in fp32 host memory."""
        none = np.zeros(len(batch.gathered), dtype=bool)
        self._writer.add(RowBlock(label=_LABEL, tokens=batch.tokens, reservoir=none, rows=rows))

    def finish(self) -> None:
        """Move the unit to its place, unless another process has put the same bytes there."""
        try:
            self._writer.finish({}, {})
            if list_whole_shards(self._target, self._unit, self._plan_hash) is None:
                shutil.rmtree(self._target, ignore_errors=True)
            with suppress(OSError):
                os.rename(self._temporary / self._target.name, self._target)
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def abandon(self) -> None:
        """Delete all that was written."""
        self._writer.abandon()
        shutil.rmtree(self._temporary, ignore_errors=True)


class SpooledUnitReader:
    """Reads the rows of one unit from the start, batch after batch."""

    def __init__(self, folder: Path, places: Sequence[Place]) -> None:
        """Open the shards; raise FileNotFoundError when they are not there."""
        self._places = places
        self._prefix = f"{folder.name}."
        files = sorted(json.loads((folder / MARKER).read_bytes())["shards"])
        # The library's reader is not typed.
        self._shards: list[Any] = [safe_open(folder / file, framework="pt") for file in files]
        self._next = 0

    def take(
        self, num_rows: int, device: torch.device | str
    ) -> dict[Place, Float32[Tensor, "rows d"]]:
        """Return the next `num_rows` rows at every place, on a device."""
        parts: dict[Place, list[Tensor]] = {place: [] for place in self._places}
        start, stop, before = self._next, self._next + num_rows, 0
        for number, shard in enumerate(self._shards):
            tokens = shard.get_slice(f"{self._prefix}stored.{_LABEL}.tokens.{number:03d}")
            (length,) = tokens.get_shape()
            low, high = max(start - before, 0), min(stop - before, length)
            if low < high:
                for place, slices in parts.items():
                    name = f"{self._prefix}{array_prefix(place, _LABEL)}rows.{number:03d}"
                    slices.append(shard.get_slice(name)[low:high])
            before += length
        assert stop <= before, "the batches are not those the rows were made of"
        self._next = stop
        return {place: torch.cat(slices).to(device) for place, slices in parts.items()}
