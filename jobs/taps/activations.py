"""A base and an aligned model on the same padded batch, and their difference in fp32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxtyping import Float32, Int64

from jobs.taps.taps import Place, read_sites

if TYPE_CHECKING:
    from torch import Tensor

    from jobs.tokens.batches import Batch


@dataclass(frozen=True, kw_only=True, eq=False)
class Offset:
    """The gathered rows of one batch at one site and layer, on the models' device."""

    place: Place
    """Site and layer."""
    base: Float32[Tensor, "rows d"]
    """The base model's activations."""
    aligned: Float32[Tensor, "rows d"]
    """The aligned model's."""
    delta: Float32[Tensor, "rows d"]
    """Aligned minus base."""


class Inputs:
    """A batch on a device, ready for any number of forward passes."""

    def __init__(self, batch: Batch, device: Any) -> None:
        import torch

        self.device = device
        self.token_ids = torch.from_numpy(batch.token_ids).to(device)
        self.attention_mask = torch.from_numpy(batch.attention_mask).to(device)
        # Padding is on the right, so a token's place in the row is its position.
        width = torch.arange(batch.token_ids.shape[1], device=device)
        self.position_ids = width.expand(len(batch.token_ids), -1)
        self._gathered: Int64[Tensor, " rows"] = torch.from_numpy(batch.gathered).to(device)
        self._all = len(batch.gathered) == batch.token_ids.size

    def gather(self, value: Tensor) -> Tensor:
        """The wanted rows of a tensor [batch, width, d], nothing copied when it is all of them."""
        flat = value.reshape(-1, value.shape[-1])
        # A model that lies on several devices shows its later blocks on others.
        return flat if self._all else flat.index_select(0, self._gathered.to(flat.device))


def read_activations(model: Any, inputs: Inputs, places: Sequence[Place]) -> dict[Place, Tensor]:
    """The gathered rows [rows, d] of one model at these places, in its compute dtype.

    Runs the backbone only (no unembedding), and no further than the last place.
    """
    import torch

    with torch.inference_mode(), read_sites(model, places, inputs.gather) as found:
        # No mask: padding is on the right, where a causal model never looks from a real token, and
        # without one the attention kernel may use its causal form (4 % of a forward on a CPU).
        model.base_model(
            input_ids=inputs.token_ids, position_ids=inputs.position_ids, use_cache=False
        )
    return found


def form_offsets(
    base_rows: dict[Place, Tensor], aligned_rows: dict[Place, Tensor], places: Sequence[Place]
) -> Iterator[Offset]:
    """δ at every place, formed in fp32 from rows of identical inputs, in order of `places`.

    Rows are taken out of both mappings: each offset is released before the next is formed, so that
    only the raw rows are held together.
    """
    for place in places:
        aligned = aligned_rows.pop(place).float()
        base = base_rows.pop(place).to(aligned)
        yield Offset(place=place, base=base, aligned=aligned, delta=aligned - base)
