"""A model as what of its weights is not its base's: how such files are named, and put together.

`difference.safetensors` holds tensors named `part/parameter`. A parameter that is not in it has the
base's values.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jobs.models.loading import load_model, load_tokenizer, save_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

DIFFERENCE = "difference.safetensors"
"""The file."""
WHOLE = "whole"
"""Part: the parameter's own values, in fp32."""
LEFT, RIGHT = "left", "right"
"""Parts: two thin matrices; the parameter is the base's plus their product."""


def put_together(base: Path, difference: Path, described: Path, target: Path) -> None:
    """Write the model that a difference makes of its base, in fp32, as a checkpoint.

    Args:
        base: checkpoint of the base.
        difference: folder of the difference.
        described: folder with the tokenizer.
        target: where to.
    """
    import torch
    from safetensors import safe_open

    model = load_model(base)
    weights = dict(model.named_parameters())
    with torch.no_grad(), safe_open(difference / DIFFERENCE, framework="pt") as stream:
        for key in stream.keys():  # noqa: SIM118 - it is no mapping
            part, _, name = key.partition("/")
            if part == WHOLE:
                weights[name].copy_(stream.get_tensor(key))
            elif part == LEFT:
                right = stream.get_tensor(f"{RIGHT}/{name}")
                weights[name].copy_(add_product(weights[name], stream.get_tensor(key), right))
    save_checkpoint(model, load_tokenizer(described), target)


def add_product(start: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return start + left @ right in fp32, computed in fp64."""
    return (start.double() + left.double() @ right.double()).float()
