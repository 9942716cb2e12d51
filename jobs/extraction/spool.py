"""`Spool`: the folder of the base model's rows on disk, their bytes and their identity."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from cluster.resources import processor_name
from jobs.artifacts.artifact import digest_bytes
from jobs.artifacts.identity import key_of
from jobs.extraction.extraction_plan import ExtractionPlan
from jobs.extraction.spooled_rows import CACHE, SpooledRows
from jobs.tokens.batches import Unit
from jobs.worker.work import Work

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
        used = 0
        if attempt.artifact.storage.is_local:
            cache = attempt.artifact.storage.path(CACHE)
            used = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
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
        cache = self._work.attempt.artifact.storage.path(CACHE)
        return cache / key_of(self._identity(token_budget))[:16]

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
        import torch
        import transformers

        from jobs.extraction.extract_params import VERSION

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
