"""Where all random number generators of this process stand, as JSON, and back."""

import random
from typing import Any

import numpy as np


def generators() -> dict[str, Any]:
    """State of python's, numpy's and torch's generators, and of the GPU in use."""
    import torch

    version, words, gauss = random.getstate()
    state = np.random.get_state(legacy=False)
    assert isinstance(state, dict)
    found: dict[str, Any] = {
        "python": [version, list(words), gauss],
        "numpy": {**state, "state": {**state["state"], "key": state["state"]["key"].tolist()}},
        "torch": _as_text(torch.get_rng_state()),
    }
    if torch.cuda.is_available():
        found["cuda"] = _as_text(torch.cuda.get_rng_state())
    return found


def restore_generators(state: dict[str, Any]) -> None:
    """Put them where `generators` found them."""
    import torch

    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    inner = state["numpy"]["state"]
    key = np.array(inner["key"], dtype=np.uint32)
    np.random.set_state({**state["numpy"], "state": {**inner, "key": key}})
    torch.set_rng_state(_as_tensor(state["torch"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(_as_tensor(state["cuda"]))


def _as_text(state: Any) -> str:
    return bytes(state.numpy()).hex()


def _as_tensor(text: str) -> Any:
    import torch

    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)
