"""The states of all random number generators of this process, as JSON, and back."""

from __future__ import annotations

import random
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor


class GeneratorStates(TypedDict):
    """JSON of the states of all generators."""

    python: list[Any]
    """`random.getstate()`: version, 625 words, the next Gaussian or null."""
    numpy: dict[str, Any]
    """`numpy.random.get_state(legacy=False)`, its key as a list."""
    torch: str
    """Bytes of the state on the processor, in hexadecimal digits."""
    cuda: NotRequired[str]
    """Bytes of the state on the GPU in use, in hexadecimal digits; absent where none is used."""


def read_generators() -> GeneratorStates:
    """Return the states of python's, numpy's and torch's generators, and of the GPU in use.

    A GPU that this process does not use is not asked: that would open a context on it, which takes
    its memory, and fails where it is somebody else's alone.
    """
    version, words, gauss = random.getstate()
    state = np.random.get_state(legacy=False)
    assert isinstance(state, dict)
    states: GeneratorStates = {
        "python": [version, list(words), gauss],
        "numpy": {**state, "state": {**state["state"], "key": state["state"]["key"].tolist()}},
        "torch": _as_text(torch.get_rng_state()),
    }
    if _uses_gpu():
        states["cuda"] = _as_text(torch.cuda.get_rng_state())
    return states


def restore_generators(states: GeneratorStates) -> None:
    """Set all generators to the states that `read_generators` returned."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    inner = states["numpy"]["state"]
    key = np.array(inner["key"], dtype=np.uint32)
    np.random.set_state({**states["numpy"], "state": {**inner, "key": key}})
    torch.set_rng_state(_as_tensor(states["torch"]))
    if "cuda" in states and _uses_gpu():
        torch.cuda.set_rng_state(_as_tensor(states["cuda"]))


def _uses_gpu() -> bool:
    """Tell whether this process has a context on a GPU; asking opens none."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]  # torch types it not


def _as_text(state: Tensor) -> str:
    return bytes(state.numpy()).hex()


def _as_tensor(text: str) -> Tensor:

    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)
