"""The device that a model is loaded to, or the map of several."""

from __future__ import annotations

from cluster.errors import SurroundingsError


def pick_device(num_gpus: float) -> str:
    """Return `cuda` when GPUs were given to the job, else `cpu`, whatever the hardware.

    Raises:
        SurroundingsError: a GPU was given and torch cannot use it.
    """
    if num_gpus <= 0:
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        raise SurroundingsError(
            f"the job was given {num_gpus:g} GPUs and torch sees none",
            hint="check the driver and that this torch is a CUDA build",
        )
    return "cuda"


DeviceMap = dict[str, int | str]
"""Path of a module -> device, as transformers takes it."""
