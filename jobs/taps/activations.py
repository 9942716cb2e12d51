"""Activations of one model on a padded batch, and δ of a pair: aligned minus base, in fp32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32, Int64

from jobs.models.device import to_device
from jobs.taps.taps import Place, read_sites
from jobs.tokens.batches import Batch, cut_batches, pad_batch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from jobs.models.language_model import LanguageModel
    from jobs.tokens.plan import TokenPlan
    from jobs.tokens.positions import Position


@dataclass(frozen=True, kw_only=True, eq=False)
class Offset:
    """The gathered rows of one batch at one site and layer, on the models' device."""

    place: Place
    """Site and layer."""
    base: Float32[Tensor, "rows d"]
    """Activations of the base model."""
    aligned: Float32[Tensor, "rows d"]
    """Activations of the aligned model."""
    delta: Float32[Tensor, "rows d"]
    """δ: aligned minus base."""


class Inputs:
    """A batch on a device, ready for any number of forward passes."""

    def __init__(self, batch: Batch, device: torch.device | str) -> None:
        import torch

        self.device = device
        self._batch = batch
        self.token_ids = to_device(torch.from_numpy(batch.token_ids), device)
        self._gathers_all = len(batch.gathered) == batch.token_ids.size
        self._gathered: dict[torch.device, Int64[Tensor, " rows"]] = {}

    @cached_property
    def attention_mask(self) -> Int64[Tensor, "batch width"]:
        """1 where there is a token, 0 where padding is."""
        import torch

        return to_device(torch.from_numpy(self._batch.attention_mask), self.device)

    @cached_property
    def position_ids(self) -> Int64[Tensor, "batch width"]:
        """Position of each token; padding is on the right, so that it is the token's column."""
        import torch

        columns = torch.arange(self._batch.token_ids.shape[1], device=self.device)
        return columns.expand(len(self._batch.token_ids), -1)

    def gather(self, value: Float[Tensor, "*batch d"]) -> Float[Tensor, "rows d"]:
        """Select the wanted rows of a tensor [batch, width, d], or [batch * width, d] as in OPT.

        Nothing is copied where all rows are wanted.
        """
        flat = value.reshape(-1, value.shape[-1])
        return flat if self._gathers_all else flat.index_select(0, self._indices(flat.device))

    def _indices(self, device: torch.device) -> Int64[Tensor, " rows"]:
        """Return the wanted rows' indices on a device; a spread model has rows on several."""
        import torch

        if device not in self._gathered:
            self._gathered[device] = to_device(torch.from_numpy(self._batch.gathered), device)
        return self._gathered[device]


def batches_of(
    plan: TokenPlan,
    positions: Sequence[Position],
    device: torch.device | str,
    token_budget: int,
    after_batch: Callable[[int], None] = lambda num_done: None,
    members: Int64[np.ndarray, " members"] | None = None,
) -> Iterator[tuple[Batch, Inputs]]:
    """Yield the prompts of a plan in batches on a device, without batches that have no rows.

    Args:
        plan: the tokens.
        positions: positions whose rows are gathered.
        device: where the model reads its tokens.
        token_budget: most tokens of a batch, padding included.
        after_batch: called after each batch with the number of prompts that are done.
        members: indices of the prompts in the plan; None for all.
    """
    num_done = 0
    wanted = np.arange(len(plan.prompts)) if members is None else members
    for part in cut_batches(plan, wanted, token_budget):
        batch = pad_batch(plan, part, positions)
        if len(batch.gathered):
            yield batch, Inputs(batch, device)
        num_done += len(part)
        after_batch(num_done)


def read_activations(
    model: LanguageModel, inputs: Inputs, places: Sequence[Place]
) -> dict[Place, Float[Tensor, "rows d"]]:
    """Return the gathered rows of one model at every place, in the model's compute dtype.

    Only the backbone runs (no unembedding), and no further than the last place.
    """
    import torch

    with torch.inference_mode(), read_sites(model, places, inputs.gather) as rows:
        # No mask: padding is on the right, where a causal model never looks from a real token, and
        # without one the attention kernel may use its causal form (4 % of a forward on a CPU).
        # The model looks for packed texts once, and the host waits for the answer: also without
        # positions, since every family then counts columns by itself and looks all the same.
        model.base_model(
            input_ids=inputs.token_ids, position_ids=inputs.position_ids, use_cache=False
        )
    return rows


def form_offsets(
    base_rows: dict[Place, Tensor], aligned_rows: dict[Place, Tensor], places: Sequence[Place]
) -> Iterator[Offset]:
    """Yield δ at every place, formed in fp32 from rows [rows, d] of identical inputs.

    Rows are removed from both mappings: each offset is released before the next one is formed, so
    that only the raw rows of all places are in memory together.
    """
    for place in places:
        aligned = aligned_rows.pop(place).float()
        base = base_rows.pop(place).to(aligned)
        yield Offset(place=place, base=base, aligned=aligned, delta=aligned - base)
