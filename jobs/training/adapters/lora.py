"""A LoRA adapter in training: put beside a frozen base, switched off, saved, and merged.

The base is in memory once: with the adapter off it is the reference. Adapters are fp32; the base
may be held in 4 bits (QLoRA).
"""

from __future__ import annotations

import contextlib
import copy
import gc
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import Linear, Parameter
from torch.utils.hooks import RemovableHandle
from transformers import BitsAndBytesConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from cluster.errors import UserError, unknown_name
from jobs.kind import Params as KindParams
from jobs.models.adapter_folder import WEIGHTS, adapter_facts
from jobs.models.adapters import merge_adapter
from jobs.models.family import family_of_config
from jobs.models.opened_model import model_folder
from jobs.models.weight_names import PEFT_PREFIX
from jobs.training.adapters.lora_settings import Lora
from jobs.training.trained_weights import copy_whole
from jobs.worker import ranks
from jobs.worker.work import Work

if TYPE_CHECKING:
    from deepspeed.zero import GatheredParameters
    from peft import LoraConfig

_NAME = "default"
"""What peft calls a model's only adapter."""


def add_adapter(model: PreTrainedModel, lora: Lora, seed: int) -> None:
    """Freeze all weights of a model and put a new adapter beside its linear layers.

    The model stays what it is, a transformers model, and computes what it did: B is 0.

    Args:
        model: a causal language model; under zero3 its weights may lie in pieces.
        lora: which layers, and how.
        seed: decides A, on every device alike.

    Raises:
        UserError: no block has a layer of that name.
    """
    from peft import LoraConfig

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


def in_single_precision(model: PreTrainedModel) -> None:
    """Widen what is trained: TRL narrows the adapter of a quantised base to 16 bits."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


@contextlib.contextmanager
def adapter_off(model: PreTrainedModel) -> Iterator[None]:
    """Make the model compute as its base; its weights may lie in ZeRO-3's pieces on all ranks."""
    model.disable_adapters()
    try:
        with whole_on_call(model):
            yield
    finally:
        model.enable_adapters()


def save_adapter(model: PreTrainedModel, folder: Path) -> None:
    """Write `adapter_config.json` and fp32 weights; all ranks call it, the first one writes."""
    held = copy_adapter(model)
    if ranks.is_first():
        write_adapter(held, settings_of(model), folder)
    ranks.barrier()


def copy_adapter(model: PreTrainedModel) -> dict[str, Tensor]:
    """Copy the adapter to host memory in fp32, by peft's names of its file; all ranks call it.

    Only the first rank's copy holds anything.
    """
    from peft import get_peft_model_state_dict

    trained = {
        name: copy_whole(parameter)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    if not ranks.is_first():
        return {}
    held = get_peft_model_state_dict(model, state_dict=trained, adapter_name=_NAME)
    return {f"{PEFT_PREFIX}{name}": tensor.contiguous() for name, tensor in held.items()}


def settings_of(model: PreTrainedModel) -> LoraConfig:
    """Return the settings of the adapter in a model."""
    config: LoraConfig = model.peft_config[_NAME]
    return config


def write_adapter(tensors: Mapping[str, Tensor], settings: LoraConfig, folder: Path) -> None:
    """Write an adapter that was copied, as peft would."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), folder / WEIGHTS, metadata={"format": "pt"})
    config = copy.copy(settings)
    config.base_model_name_or_path = None  # a path of this machine
    config.target_modules = sorted(settings.target_modules)  # a set: equal runs, equal bytes
    config.inference_mode = True
    config.save_pretrained(folder)


def merge_into_base(work: Work[KindParams], lora: Lora) -> dict[str, object]:
    """Write `model/`, the base plus `adapter/` in fp32, by the first rank; return its facts.

    The adapter is added to the base as it is stored, whatever the base was quantised to in
    training. No engine may be in session any more: it would have the base in pieces.
    """
    if not ranks.is_first():
        return {}
    gc.collect()  # the trained model: trainers are rings of references
    folder = work.folder / "adapter"
    beside = f"the base in {lora.quantised or 'fp32'}"
    work.progress(None, "merging the adapter into its base")
    merge_adapter(model_folder(work.input("model")), folder, work.folder / "model")
    return {**adapter_facts(folder), "trained_beside": beside}


def _targets(model: PreTrainedModel, lora: Lora) -> list[str]:
    """Return names of the layers to adapt, relative to their block."""
    layers = linear_layers(model)
    if lora.targets is None:
        return layers
    chosen: set[str] = set()
    for target in lora.targets:
        named = {name for name in layers if name == target or name.endswith(f".{target}")}
        if not named:
            short = {name.rpartition(".")[2] for name in layers}
            raise unknown_name("linear layer", target, {*layers, *short}, where="lora.targets")
        chosen |= named
    return sorted(chosen)


def linear_layers(model: PreTrainedModel) -> list[str]:
    """Return names of the linear layers of a block, relative to it, sorted."""
    blocks = model.get_submodule(family_of_config(model.config).BLOCKS)
    return sorted(
        {
            name
            for block in blocks
            for name, module in block.named_modules()
            if isinstance(module, (Linear, Conv1D))
        }
    )


@contextlib.contextmanager
def whole_on_call(model: PreTrainedModel) -> Iterator[None]:
    """Gather each module's own weights for its call, where ZeRO-3 cut them and no engine runs yet.

    Nothing to do elsewhere.
    """
    handles: list[RemovableHandle] = []
    gathering: list[GatheredParameters] = []

    def enter(parameters: list[Parameter]) -> None:
        import deepspeed

        gathering.append(deepspeed.zero.GatheredParameters(parameters))
        gathering[-1].__enter__()

    def release() -> None:
        gathering.pop().__exit__(None, None, None)

    for module in model.modules():
        cut = [weight for weight in module.parameters(recurse=False) if hasattr(weight, "ds_id")]
        if cut:
            handles += [
                module.register_forward_pre_hook(lambda *_, cut=cut: enter(cut)),
                module.register_forward_hook(lambda *_: release(), always_call=True),
            ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


LIBRARY = "bitsandbytes"


def quantisation(lora: Lora | None, dtype: str, device: str) -> BitsAndBytesConfig | None:
    """Make the config by which `load_model` quantises weights; None where none is wanted.

    Args:
        lora: the adapter that is trained; None without one.
        dtype: of the products.
        device: of the base.

    Raises:
        UserError: the device is no GPU, or the library is not installed.
    """
    if lora is None or lora.quantised is None:
        return None
    if device == "cpu":
        raise UserError(
            "a quantised base needs a GPU, and this job has none",
            where="lora.quantised",
            allowed=["null"],
            hint="set num_gpus, or train the adapter beside the base as it is",
        )
    if find_spec(LIBRARY) is None:
        raise UserError(
            f"a quantised base needs {LIBRARY}, which is not installed",
            where="lora.quantised",
            allowed=["null"],
            hint="pip install 'deltascale[qlora]' on every machine that trains",
        )

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=lora.quantised,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
        bnb_4bit_quant_storage=torch.uint8,
    )
