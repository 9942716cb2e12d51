"""What one extraction may take: memory for its models here, bytes of its store in all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cluster.errors import UserError
from jobs.models.family import NEURON_SITES
from jobs.store.size_bound import ROW_BYTES, bound_store_bytes

if TYPE_CHECKING:
    from jobs.extraction.extraction_plan import ExtractionPlan
    from jobs.tokens.batches import Unit


def free_memory(device: str, memory_gb: float) -> int:
    """Bytes for models: of all GPUs given, or of the host: what was set aside, or what is free."""
    if device != "cpu":
        import torch

        gpus = range(torch.cuda.device_count())
        return sum(torch.cuda.mem_get_info(gpu)[0] for gpu in gpus)
    if memory_gb:
        return int(memory_gb * 1e9)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def require_budget(extraction: ExtractionPlan, planned: Sequence[Unit]) -> None:
    """Raise UserError, saying what takes the room, when the store may exceed its budget."""
    size = _most_bytes(extraction, len(planned))
    budget = extraction.params.budget_gb
    if size > budget * 1e9:
        keeping = extraction.keeping
        raise UserError(
            f"the store may take {size / 1e9:.3g} GB, more than budget_gb allows ({budget:g})",
            where=f"{len(extraction.places)} places, {len(planned)} units, d x d moments at "
            f"{', '.join(sorted(keeping.dense)) or 'no position'}, all rows at "
            f"{', '.join(sorted(keeping.rowwise | keeping.full)) or 'no position'}",
            hint="fewer sites, depths or moments_positions, larger unit_tokens, rows: bfloat16; "
            "or raise budget_gb",
        )


def _most_bytes(extraction: ExtractionPlan, num_units: int) -> int:
    keeping = extraction.keeping
    num_rows = {
        position.label: _num_rows(position.tokens, extraction.plan.owners, position.pooled)
        for position in extraction.positions
    }
    total = 0
    for dense, neurons in ((keeping.dense, False), (frozenset[str](), True)):
        widths = [
            extraction.width(place)
            for place in extraction.places
            if (place[0] in NEURON_SITES) == neurons
        ]
        total += bound_store_bytes(
            num_rows=num_rows,
            num_units=num_units,
            widths=widths,
            dense=dense,
            rowwise=keeping.rowwise | keeping.full,
            num_reservoir=extraction.params.num_reservoir,
            row_bytes=ROW_BYTES["float32" if keeping.rowwise else keeping.rows],
        )
    return total


def _num_rows(tokens: np.ndarray, owners: np.ndarray, pooled: bool) -> int:
    return len(np.unique(owners[tokens])) if pooled else int(tokens.sum())
