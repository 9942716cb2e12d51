"""Reads a probe that others fitted and released: a vector in a file, without a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from cluster.errors import UserError
from jobs.models.file_content import require_content

SUFFIXES = (".pt", ".pth", ".bin", ".npy", ".safetensors")


def read_probe(path: Path, d_model: int) -> Float64[np.ndarray, " d"]:
    """Read the weights of a probe, from neutral to toxic.

    A file may hold one tensor, bare or in a mapping (a bias beside it is left out): [d], [1, d], or
    [2, d] with the row of the neutral class first. Pickles are read with nothing but tensors
    allowed.

    Args:
        path: the file.
        d_model: width of the model that the probe is of.

    Raises:
        UserError: it cannot be read, or holds no such vector.
    """
    tensors = _tensors(path)
    shapes = {name: tuple(array.shape) for name, array in tensors.items()}
    fitting = [
        array
        for array in tensors.values()
        if array.shape in ((d_model,), (1, d_model), (2, d_model))
    ]
    if len(fitting) != 1:
        raise UserError(
            f"{len(fitting)} of its tensors are a vector of the model's width {d_model}: {shapes}",
            where=str(path),
            hint="a probe is one vector, fitted to the residual stream of this very model",
        )
    weights = np.asarray(fitting[0], dtype=np.float64).reshape(-1, d_model)
    vector = weights[-1] - weights[0] if len(weights) == 2 else weights[0]
    if not np.isfinite(vector).all() or not vector.any():
        raise UserError("its vector is zero, or not finite", where=str(path))
    return np.asarray(vector)


def _tensors(path: Path) -> Mapping[str, np.ndarray]:
    if path.suffix not in SUFFIXES:
        raise UserError("unknown kind of probe file", where=str(path), allowed=SUFFIXES)
    require_content(path, str(path))
    try:
        if path.suffix == ".npy":
            return {path.name: np.load(path, allow_pickle=False)}
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return _to_numpy(load_file(path))
        import torch

        return _to_numpy(torch.load(path, map_location="cpu", weights_only=True))
    except UserError:
        raise
    except Exception as error:  # the libraries raise whatever their readers meet
        first = str(error).partition("\n")[0]
        raise UserError(
            f"the probe cannot be read: {first}",
            where=str(path),
            hint="save its weights alone: torch.save(WEIGHTS, FILE), a tensor of the model's width",
        ) from error


def _to_numpy(content: Any) -> dict[str, np.ndarray]:
    named = content if isinstance(content, Mapping) else {"": content}
    return {
        str(name): value.detach().double().numpy()
        for name, value in named.items()
        if hasattr(value, "detach") and value.is_floating_point()
    }
