"""A base with a LoRA adapter in it: merged for good, or resident with the adapter on and off."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.models.adapter_folder import (
    TOKENIZER,
    TOKENIZER_FILES,
    WEIGHTS,
    check_adapter_folder,
    read_adapter_config,
)
from jobs.models.folder import check_model_folder
from jobs.models.loading import load_model, load_tokenizer, save_checkpoint
from jobs.models.model_facts import Dtype

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

    from jobs.models.device import DeviceMap

_PREFIX = "base_model.model."
"""What peft puts before the name of every tensor."""
_MOST_NAMES_SHOWN = 3


class Switched:
    """One state of a resident model: it with the adapter on, or off, which is the base.

    It stands wherever activations are read of a model. Both states share one set of weights, so
    only one of them runs at a time.
    """

    def __init__(self, model: PeftModel, *, adapter_on: bool) -> None:
        self._model = model.get_base_model()
        kinds = _adapted()
        self._adapted: list[Any] = [each for each in model.modules() if isinstance(each, kinds)]
        self._adapter_on = adapter_on

    @property
    def config(self) -> Any:
        """The config of the base."""
        return self._model.config

    @property
    def generation_config(self) -> Any:
        """What the base's checkpoint says of generation."""
        return self._model.generation_config

    @property
    def device(self) -> Any:
        """Where its weights are."""
        return self._model.device

    @property
    def dtype(self) -> Any:
        """In which the base's weights are."""
        return self._model.dtype

    def get_submodule(self, path: str) -> Any:
        """The module at a path of the base; adapted ones stand in place of the base's own."""
        return self._model.get_submodule(path)

    def base_model(self, **inputs: Any) -> Any:
        """Run the backbone, without unembedding, in this state."""
        self._switch()
        return self._model.base_model(**inputs)

    def __call__(self, **inputs: Any) -> Any:
        """Run the whole model in this state; its output has `logits`."""
        self._switch()
        return self._model(**inputs)

    def _switch(self) -> None:
        # Set each time and not as a context: the other state may have run in between. Peft's own
        # switches walk the whole model: 59 and 36 ms a pair with 224 adapted modules, this 8.
        for module in self._adapted:
            module.enable_adapters(self._adapter_on)


def load_pair_with_adapter(
    base: Path,
    adapter: Path,
    *,
    dtype: Dtype = "float32",
    device: str | DeviceMap = "cpu",
    attention: str = "sdpa",
) -> tuple[Switched, Switched]:
    """(base, aligned) of one resident model; see `load_model` for the arguments.

    The adapter's own products are formed in fp32, whatever the dtype of the base.

    Raises:
        UserError: a folder is not whole, or the adapter does not fit the base.
    """
    model = load_model(base, dtype=dtype, device=device, attention=attention)
    adapted = attach(model, adapter)
    return Switched(adapted, adapter_on=False), Switched(adapted, adapter_on=True)


def merge_adapter(base: Path, adapter: Path, target: Path) -> Mapping[str, Any]:
    """Write `base` with the adapter added to its weights, in fp32, as a checkpoint of its own.

    Returns the mapping in its config.json.

    Raises:
        UserError: a folder is not whole, or the adapter does not fit the base.
    """
    model = attach(load_model(base), adapter).merge_and_unload()
    save_checkpoint(model, _tokenizer(base, adapter), target)
    return check_model_folder(target, str(adapter))


def attach(model: Any, folder: Path) -> PeftModel:
    """`model` with the adapter of a folder in it, on the model's device, in eval mode.

    Raises:
        UserError: the adapter does not fit: other modules, other shapes, or tied embeddings.
    """
    from peft import LoraConfig, PeftModel, set_peft_model_state_dict
    from safetensors.torch import load_file

    settings = read_adapter_config(folder).settings
    check_adapter_folder(folder, str(folder))
    config = LoraConfig(**settings, inference_mode=True)
    try:
        adapted = PeftModel(model, config)
    except ValueError as error:  # the library's word for targets that the model does not have
        raise _misfit(str(error).partition(". ")[0], folder) from error
    tensors = _without_the_bases_own(adapted, load_file(folder / WEIGHTS))
    _check_fit(adapted, tensors, folder)
    set_peft_model_state_dict(adapted, tensors)
    return adapted.eval()


def _without_the_bases_own(adapted: PeftModel, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Peft saves an embedding beside the adapter of it: nothing new where it is the base's."""
    held = dict(adapted.get_base_model().named_parameters())

    def is_the_bases(name: str, tensor: Tensor) -> bool:
        own = held.get(name.removeprefix(_PREFIX))
        return own is not None and own.shape == tensor.shape and bool((own == tensor.to(own)).all())

    return {name: tensor for name, tensor in tensors.items() if not is_the_bases(name, tensor)}


def _adapted() -> tuple[type, ...]:
    """What peft puts in place of a module of the base."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    return BaseTunerLayer, AuxiliaryTrainingWrapper


def _check_fit(adapted: PeftModel, tensors: Mapping[str, Tensor], folder: Path) -> None:
    from peft import get_peft_model_state_dict

    wanted = {
        name: tuple(tensor.shape)
        for name, tensor in get_peft_model_state_dict(adapted, save_embedding_layers=False).items()
    }
    held = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = sorted(name for name in held.keys() | wanted if held.get(name) != wanted.get(name))
    if wrong:
        told = [
            f"{name} is {_told(held.get(name))}, not {_told(wanted.get(name))}" for name in wrong
        ]
        more = f" and {len(told) - _MOST_NAMES_SHOWN} more" if len(told) > _MOST_NAMES_SHOWN else ""
        raise _misfit("; ".join(told[:_MOST_NAMES_SHOWN]) + more, folder)
    model = adapted.get_base_model()
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    changed = any(isinstance(end, _adapted()) for end in ends)
    if changed and model.config.tie_word_embeddings:
        raise _misfit("it changes an embedding that the base ties to its unembedding", folder)


def _told(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else "x".join(map(str, shape))


def _misfit(what: str, folder: Path) -> UserError:
    return UserError(
        f"the adapter does not fit this base: {what}",
        where=str(folder),
        hint="the base must be the model that the adapter was trained on",
    )


def _tokenizer(base: Path, adapter: Path) -> PreTrainedTokenizerFast:
    """The adapter's own tokenizer where it brings one (often with a chat template), else base's."""
    owner = adapter if (adapter / TOKENIZER).is_file() else base
    with tempfile.TemporaryDirectory() as folder:
        together = Path(folder)
        (together / "config.json").write_bytes((base / "config.json").read_bytes())
        for name in TOKENIZER_FILES:
            if (owner / name).is_file():
                (together / name).write_bytes((owner / name).read_bytes())
        return load_tokenizer(together)
