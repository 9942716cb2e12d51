"""The device that a model is loaded to, or the map of several where one does not hold it.

Blocks are placed by the config alone, in order and equally many on each device, so that a base and
its aligned model are placed alike and their rows of one site meet on one device.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from jobs.models.family import family_of_config
from jobs.models.folder import read_config

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module


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
            fault_class=FaultClass.GPU if torch.version.cuda else FaultClass.MISTAKE,
        )
    return "cuda"


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Copy a tensor of the host to a device without waiting for it.

    From pinned memory: out of any other the host waits until the device has done all that it was
    told before, so that what comes next finds it idle.
    """
    import torch

    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


DeviceMap = dict[str, int | str]
"""Path of a module -> device, as transformers takes it."""


def place_of(folder: Path, num_gpus: float) -> str | DeviceMap:
    """Choose the place of a model that is only read: the CPU, one GPU, or several.

    Raises:
        UserError: several parts of GPUs were asked for; CUDA shows a process no more than one.
        SurroundingsError: torch sees fewer GPUs than were given.
    """
    device = pick_device(num_gpus)
    if num_gpus < 2:
        return device
    import torch

    if (seen := torch.cuda.device_count()) < num_gpus:
        if "MIG-" in os.environ.get("CUDA_VISIBLE_DEVICES", ""):
            raise UserError(
                f"a process computes on one MIG part of a GPU, not on {num_gpus:g}",
                where="num_gpus",
                allowed=["1", "0"],
            )
        raise SurroundingsError(
            f"the job was given {num_gpus:g} GPUs and torch sees {seen}", fault_class=FaultClass.GPU
        )
    return spread(folder, [f"cuda:{gpu}" for gpu in range(int(num_gpus))])


def spread(folder: Path, devices: Sequence[int | str]) -> DeviceMap:
    """Map every block, and the modules before and after them, to a device.

    Args:
        folder: a checkpoint; only its config is read.
        devices: numbers of GPUs, or names that accelerate knows, such as `cpu` and `disk`.
    """
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    family = family_of_config(read_config(folder))
    with init_empty_weights():
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        # Not the kernel that config.json may name: transformers would load it, from the hub even.
        model = AutoModelForCausalLM.from_config(
            config, trust_remote_code=False, attn_implementation="eager"
        )
    path = family.BLOCKS.split(".")
    blocks = model.get_submodule(family.BLOCKS)
    places: DeviceMap = {}
    _place_around(places, model, "", path, devices)
    for number in range(len(blocks)):
        places[f"{family.BLOCKS}.{number}"] = devices[number * len(devices) // len(blocks)]
    if config.tie_word_embeddings:
        # One tensor, so the head is placed with the embedding.
        head = model.get_output_embeddings()
        name = next(name for name, module in model.named_modules() if module is head)
        places[name] = devices[0]
    return places


def _place_around(
    places: DeviceMap, module: Module, name: str, path: Sequence[str], devices: Sequence[int | str]
) -> None:
    """Place modules declared before the blocks on the first device, those after on the last."""
    before = True
    for child, inner in module.named_children():
        full = f"{name}.{child}" if name else child
        if child != path[0]:
            places[full] = devices[0 if before else -1]
            continue
        before = False
        if len(path) > 1:
            _place_around(places, inner, full, path[1:], devices)
