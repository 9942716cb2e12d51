"""A model that one device does not hold: which of its blocks lie on which device.

Decided from the config alone, blocks in order and equally many on each, so that a base and its
aligned model lie alike and their rows of one place meet on one device.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.models.device import DeviceMap, pick_device
from jobs.models.family import family_of_config
from jobs.models.folder import read_config


def place_of(folder: Path, num_gpus: float) -> str | DeviceMap:
    """Where a model that is only read lies: the processor, one GPU, or spread over several."""
    if num_gpus < 2:
        return pick_device(num_gpus)
    return spread(folder, range(int(num_gpus)))


def spread(folder: Path, devices: Sequence[int | str]) -> DeviceMap:
    """Where every block, and what stands before and after them, is to lie.

    Args:
        folder: a checkpoint; only its config is read.
        devices: numbers of GPUs, or names that accelerate knows, such as `cpu` and `disk`.
    """
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    family = family_of_config(read_config(folder))
    with init_empty_weights():
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        model = AutoModelForCausalLM.from_config(config)
    path = family.BLOCKS.split(".")
    blocks = model.get_submodule(family.BLOCKS)
    found: DeviceMap = {}
    _place_around(found, model, "", path, devices)
    for number in range(len(blocks)):
        found[f"{family.BLOCKS}.{number}"] = devices[number * len(devices) // len(blocks)]
    if config.tie_word_embeddings:
        # One tensor, so it lies where the embedding is read.
        head = next(name for name, each in model.named_modules() if each is _head(model))
        found[head] = devices[0]
    return found


def _place_around(
    found: DeviceMap, module: Any, name: str, path: Sequence[str], devices: Sequence[int | str]
) -> None:
    """What is declared before the blocks lies on the first device, what after, on the last."""
    before = True
    for child, held in module.named_children():
        full = f"{name}.{child}" if name else child
        if child != path[0]:
            found[full] = devices[0 if before else -1]
            continue
        before = False
        if len(path) > 1:
            _place_around(found, held, full, path[1:], devices)


def _head(model: Any) -> Any:
    return model.get_output_embeddings()
