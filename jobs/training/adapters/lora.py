"""A LoRA adapter in training: put beside a frozen base, switched off, and saved as peft saves one.

The base is in memory once: with the adapter off it is the reference. Adapters are fp32.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import unknown_name
from jobs.models.adapter_folder import WEIGHTS
from jobs.models.family import family_of_config
from jobs.training.adapters.lora_settings import Lora
from jobs.training.trained_weights import whole
from jobs.worker import ranks

if TYPE_CHECKING:
    from torch import Tensor

_NAME = "default"
"""What peft calls a model's only adapter."""
_PREFIX = "base_model.model."
"""What peft puts before the name of every tensor in a file."""


def add_adapter(model: Any, lora: Lora, seed: int) -> None:
    """Freeze all weights of a model and put a new adapter beside its linear layers.

    The model stays what it is, a transformers model, and computes what it did: B is 0.

    Args:
        model: a causal language model; under zero3 its weights may lie in pieces.
        lora: which layers, and how.
        seed: decides A, on every device alike.

    Raises:
        UserError: no block has a layer of that name.
    """
    import torch
    from peft import LoraConfig
    from transformers.pytorch_utils import Conv1D

    model.requires_grad_(False)
    config = LoraConfig(
        **lora.peft_settings,
        target_modules=_targets(model, lora),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.add_adapter(config, adapter_name=_NAME)
    in_single_precision(model)


def in_single_precision(model: Any) -> None:
    """Widen what is trained: TRL narrows the adapter of a quantised base to 16 bits."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


@contextlib.contextmanager
def adapter_off(model: Any) -> Iterator[None]:
    """The base, as long as it lasts; its weights may lie in ZeRO-3's pieces, all ranks alike."""
    model.disable_adapters()
    try:
        with _whole_on_call(model):
            yield
    finally:
        model.enable_adapters()


def save_adapter(model: Any, folder: Path) -> None:
    """Write `adapter_config.json` and fp32 weights; all ranks call it, the first one writes."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    trained = {
        name: _on_processor(parameter)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    if ranks.is_first():
        held = get_peft_model_state_dict(model, state_dict=trained, adapter_name=_NAME)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"{_PREFIX}{name}": tensor.contiguous() for name, tensor in held.items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        config = model.peft_config[_NAME]
        config.base_model_name_or_path = None  # a path of this machine
        config.target_modules = sorted(config.target_modules)  # a set: equal runs, equal bytes
        config.inference_mode = True
        config.save_pretrained(folder)
    ranks.barrier()


def _targets(model: Any, lora: Lora) -> list[str]:
    """Names of the layers to adapt, relative to their block, as many as there are."""
    found = linear_layers(model)
    if lora.targets is None:
        return found
    chosen: set[str] = set()
    for target in lora.targets:
        named = {name for name in found if name == target or name.endswith(f".{target}")}
        if not named:
            short = {name.rpartition(".")[2] for name in found}
            raise unknown_name("linear layer", target, {*found, *short}, where="lora.targets")
        chosen |= named
    return sorted(chosen)


def linear_layers(model: Any) -> list[str]:
    """Names of the linear layers of a block, relative to it, sorted."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    blocks = model.get_submodule(family_of_config(model.config).BLOCKS)
    return sorted(
        {
            name
            for block in blocks
            for name, module in block.named_modules()
            if isinstance(module, (Linear, Conv1D))
        }
    )


def _on_processor(parameter: Any) -> Tensor:
    """A copy in fp32 of a weight that may lie in pieces; all ranks call it."""
    with whole(parameter):
        held = parameter.full_tensor() if hasattr(parameter, "full_tensor") else parameter
        copied: Tensor = held.detach().float().cpu().clone()
    return copied


@contextlib.contextmanager
def _whole_on_call(model: Any) -> Iterator[None]:
    """Gather each module's own weights for its call, where ZeRO-3 cut them and no engine runs yet.

    Nothing to do elsewhere.
    """
    handles: list[Any] = []
    gathering: list[Any] = []

    def gather(parameters: list[Any]) -> None:
        import deepspeed

        gathering.append(deepspeed.zero.GatheredParameters(parameters))
        gathering[-1].__enter__()

    def release() -> None:
        gathering.pop().__exit__(None, None, None)

    for module in model.modules():
        cut = [each for each in module.parameters(recurse=False) if hasattr(each, "ds_id")]
        if cut:
            handles += [
                module.register_forward_pre_hook(lambda *_, cut=cut: gather(cut)),
                module.register_forward_hook(lambda *_: release(), always_call=True),
            ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
