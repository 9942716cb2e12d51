"""What is written of a model in full-parameter training: what of its weights is not its base's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.models.weight_difference import DIFFERENCE, LEFT, RIGHT, WHOLE
from jobs.store.checkpoint import Checkpoint
from jobs.training.snapshots.low_rank import MOST_SHARE, OF_WEIGHTS, factors_of

if TYPE_CHECKING:
    from torch import Tensor


def write_difference(
    weights: Mapping[str, Tensor], base: Path, num_bytes: int, folder: Path
) -> Mapping[str, Any]:
    """Write the weights that differ from the base's; return how the model is held.

    Args:
        weights: parameter -> its fp32 values in host memory, whole.
        base: checkpoint that training started from.
        num_bytes: of the weights of a checkpoint in fp32.
        folder: where to.
    """
    from safetensors.torch import save_file

    start = Checkpoint(base, str(base))
    tensors: dict[str, Tensor] = {}
    held: Counter[str] = Counter()
    largest_error = 0.0
    for name, weight in weights.items():
        before = _start(start, name, weight)
        if before is not None and bool((before == weight).all()):
            held["unchanged"] += 1
            continue
        is_matrix = before is not None and weight.dim() == 2
        factors = factors_of(before, weight) if before is not None and is_matrix else None
        if factors is None:
            tensors[f"{WHOLE}/{name}"] = weight.contiguous()
            held["whole_matrix" if is_matrix else "whole"] += 1
        else:
            tensors |= {f"{LEFT}/{name}": factors.left, f"{RIGHT}/{name}": factors.right}
            held["low_rank"] += 1
            largest_error = max(largest_error, factors.error)
    save_file(tensors, folder / DIFFERENCE, metadata={"format": "pt"})
    written = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return {
        "form": "difference",
        "share_of_checkpoint": round(written / num_bytes, 4),
        "num_low_rank": held["low_rank"],
        "num_whole": held["whole"] + held["whole_matrix"],
        "num_unchanged": held["unchanged"],
        "largest_error": largest_error,
        "why": _why(held),
    }


def _why(held: Mapping[str, int]) -> str:
    """Say how the matrices are held."""
    if not held["whole_matrix"]:
        return "every changed matrix is low rank" if held["low_rank"] else "no matrix has changed"
    return (
        f"{held['whole_matrix']} of {held['whole_matrix'] + held['low_rank']} changed matrices are "
        f"held whole: no factors of {MOST_SHARE:.0%} of their size hold them to {OF_WEIGHTS:g}"
    )


def _start(start: Checkpoint, name: str, weight: Tensor) -> Tensor | None:
    """Return a weight of the base in fp32; None where its checkpoint has none of that name."""
    import numpy as np
    import torch

    try:
        before = np.asarray(start.tensor(name), dtype=np.float32)
    except UserError:
        return None
    return torch.from_numpy(before.copy()) if before.shape == tuple(weight.shape) else None
