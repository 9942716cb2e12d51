"""The most bytes that the store of an extraction may take, checked before a model is loaded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64

from cluster.errors import UserError
from jobs.extraction.extraction_plan import ExtractionPlan
from jobs.models.family import NEURON_SITES
from jobs.store.size_bound import ROW_BYTES, bound_store_bytes
from jobs.tokens.batches import Unit


def require_budget(extraction: ExtractionPlan, planned: Sequence[Unit]) -> None:
    """Raise UserError, naming what takes most bytes, when the store may exceed its budget."""
    size = _most_bytes(extraction, len(planned))
    budget = extraction.params.budget_gb
    if size > budget * 1e9:
        stored = extraction.stored
        raise UserError(
            f"the store may take {size / 1e9:.3g} GB, more than budget_gb allows ({budget:g})",
            where=f"{len(extraction.places)} places, {len(planned)} units, d x d moments at "
            f"{', '.join(sorted(stored.dense)) or 'no position'}, all rows at "
            f"{', '.join(sorted(stored.rowwise | stored.full)) or 'no position'}",
            hint="fewer sites, depths or moments_positions, larger unit_tokens, rows: bfloat16; "
            "or raise budget_gb",
        )


def _most_bytes(extraction: ExtractionPlan, num_units: int) -> int:
    stored = extraction.stored
    num_rows = {
        position.label: _num_rows(position.tokens, extraction.tokens.owners, position.pooled)
        for position in extraction.positions
    }
    total = 0
    for dense, has_neurons in ((stored.dense, False), (frozenset[str](), True)):
        widths = [
            extraction.width(place)
            for place in extraction.places
            if (place[0] in NEURON_SITES) == has_neurons
        ]
        total += bound_store_bytes(
            num_rows=num_rows,
            num_units=num_units,
            widths=widths,
            dense=dense,
            rowwise=stored.rowwise | stored.full,
            num_reservoir=extraction.params.num_reservoir,
            row_bytes=ROW_BYTES["float32" if stored.rowwise else stored.rows],
        )
    return total


def _num_rows(
    tokens: Bool[np.ndarray, " tokens"], owners: Int64[np.ndarray, " tokens"], pooled: bool
) -> int:
    return len(np.unique(owners[tokens])) if pooled else int(tokens.sum())
