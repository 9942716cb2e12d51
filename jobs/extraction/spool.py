"""Where the base's rows of one extraction lie, how many bytes they are, and what names them."""

from __future__ import annotations

import platform
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jobs.artifact import digest_bytes
from jobs.extraction.base_rows import CACHE, BaseRows, cache_name

if TYPE_CHECKING:
    from jobs.extraction.planning import Extraction
    from jobs.tokens.batches import Unit
    from jobs.work import Work

_FLOAT32 = 4


class Spool:
    """The base's rows at any token budget."""

    def __init__(self, work: Work, extraction: Extraction, device: str) -> None:
        self._work = work
        self._extraction = extraction
        self._device = device

    @property
    def is_shared(self) -> bool:
        """True where other extractions of this base and these tokens find the rows."""
        return self._work.attempt.artifact.storage.is_local

    def bytes_of(self, unit: Unit) -> int:
        """Bytes of a unit's rows."""
        plan = self._extraction.plan
        rows = sum(
            int(self._rows[plan.offsets[m] : plan.offsets[m + 1]].sum()) for m in unit.members
        )
        return rows * self._row_bytes

    @property
    def bytes(self) -> int:
        """Bytes of all rows."""
        return int(self._rows.sum()) * self._row_bytes

    def at(self, token_budget: int) -> BaseRows:
        """The rows as they come out at a token budget."""
        folder = self._folder / cache_name(self._identity(token_budget))
        return BaseRows(folder, self._extraction.plan.hash, self._extraction.places)

    @property
    def _folder(self) -> Path:
        attempt = self._work.attempt
        if self.is_shared:
            return attempt.artifact.storage.path(CACHE)
        return attempt.path / "scratch" / "base_rows"

    @cached_property
    def _rows(self) -> np.ndarray:
        """Tokens of the plan that some position needs."""
        needed = [each.tokens for each in self._extraction.positions]
        return np.asarray(np.logical_or.reduce(needed))

    @cached_property
    def _row_bytes(self) -> int:
        return _FLOAT32 * sum(self._extraction.width(place) for place in self._extraction.places)

    def _identity(self, token_budget: int) -> dict[str, object]:
        """All that decides a bit of the rows; another machine's rounding is another's rows."""
        import torch

        extraction, base = self._extraction, self._work.input("base")
        on_gpu = self._device != "cpu"
        return {
            "base": [base.key, base.record_digest],
            "token_plan": extraction.plan.hash,
            "rows": digest_bytes(self._rows.tobytes()),
            "places": [list(place) for place in extraction.places],
            "dtype": extraction.dtype,
            "attention": extraction.params.attention,
            "unit_tokens": extraction.params.unit_tokens,
            "token_budget": token_budget,
            "noise_floor_prompts": extraction.params.noise_floor_prompts,
            "positions": [position.label for position in extraction.positions],
            "device": torch.cuda.get_device_name() if on_gpu else platform.processor(),
            "num_gpus": extraction.params.num_gpus,
            "threads": self._work.threads,
            "torch": torch.__version__,
        }
