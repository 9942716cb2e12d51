"""A base with a LoRA adapter in it: merged for good, or resident with the adapter on and off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from cluster.errors import UserError
from jobs.models.adapter_folder import (
    WEIGHTS,
    check_adapter_folder,
    read_adapter_settings,
)
from jobs.models.checkpoint_files import TOKENIZER
from jobs.models.device import DeviceMap
from jobs.models.folder import check_model_folder
from jobs.models.language_model import LanguageModel
from jobs.models.loading import load_model, load_tokenizer_with, save_checkpoint
from jobs.models.model_facts import Dtype
from jobs.models.shape import ConfigMapping
from jobs.models.weight_names import PEFT_PREFIX

if TYPE_CHECKING:
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer


_MOST_NAMES_SHOWN = 3


class Switched:
    """One state of a resident model: with the adapter on, or off, which is the base.

    A `LanguageModel`. Both states share one set of weights, so only one of them runs at a time.
    """

    def __init__(self, model: PeftModel, *, adapter_on: bool) -> None:
        base: LanguageModel = model.get_base_model()
        self._model = base
        wrappers = _wrapper_types()
        self._wrappers: list[BaseTunerLayer] = [
            module for module in model.modules() if isinstance(module, wrappers)
        ]
        self._adapter_on = adapter_on
        self.config, self.generation_config = base.config, base.generation_config
        """Of the base's checkpoint."""
        self.device, self.dtype = base.device, base.dtype
        """Of the base's weights."""
        self.get_submodule = base.get_submodule
        """Path of a module of the base -> the module; adapted ones replace the base's own."""

    def base_model(self, **inputs: object) -> BaseModelOutputWithPast:
        """Run the backbone, without unembedding, in this state."""
        self._switch()
        return self._model.base_model(**inputs)

    def __call__(self, **inputs: object) -> CausalLMOutputWithPast:
        """Run the whole model in this state; the output has `logits`."""
        self._switch()
        return self._model(**inputs)

    def _switch(self) -> None:
        # Set each time and not as a context: the other state may have run in between. Peft's own
        # switches walk the whole model: 59 and 36 ms a pair with 224 adapted modules, this 8.
        for module in self._wrappers:
            module.enable_adapters(self._adapter_on)


def load_pair_with_adapter(
    base: Path,
    adapter: Path,
    *,
    dtype: Dtype = "float32",
    device: str | DeviceMap = "cpu",
    attention: str = "sdpa",
) -> tuple[Switched, Switched]:
    """Load (base, aligned) as one resident model; see `load_model` for the arguments.

    The adapter's own products are formed in fp32, whatever the dtype of the base.

    Raises:
        UserError: a folder is not whole, or the adapter does not fit the base.
    """
    model = load_model(base, dtype=dtype, device=device, attention=attention)
    adapted = attach(model, adapter)
    return Switched(adapted, adapter_on=False), Switched(adapted, adapter_on=True)


def merge_adapter(base: Path, adapter: Path, target: Path) -> ConfigMapping:
    """Write `base` with the adapter added to its weights, in fp32, as a checkpoint of its own.

    Returns:
        The mapping in its config.json.

    Raises:
        UserError: a folder is not whole, or the adapter does not fit the base.
    """
    model = attach(load_model(base), adapter).merge_and_unload()
    owner = adapter if (adapter / TOKENIZER).is_file() else base
    save_checkpoint(model, load_tokenizer_with(base, owner), target)
    return check_model_folder(target, str(adapter))


def attach(model: PreTrainedModel, folder: Path) -> PeftModel:
    """Put the adapter of a folder into `model`, on the model's device, in eval mode.

    Raises:
        UserError: the adapter does not fit: other modules, other shapes, or tied embeddings.
    """
    from peft import LoraConfig, PeftModel, set_peft_model_state_dict

    settings = read_adapter_settings(folder)
    check_adapter_folder(folder, str(folder))
    try:
        adapted = PeftModel(model, LoraConfig(**settings, inference_mode=True))
    except (ValueError, TypeError) as error:  # targets that the model does not have, odd settings
        raise _misfit(str(error).partition(". ")[0], folder) from error
    tensors = _without_embeddings_of_base(adapted, load_file(folder / WEIGHTS))
    _require_finite(tensors, folder)
    _check_fit(adapted, tensors, folder)
    set_peft_model_state_dict(adapted, tensors)
    return adapted.eval()


def _without_embeddings_of_base(
    adapted: PeftModel, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Leave out embeddings equal to the base's: peft saves one beside the adapter of it."""
    in_base = dict(adapted.get_base_model().named_parameters())

    def is_in_base(name: str, tensor: Tensor) -> bool:
        own = in_base.get(name.removeprefix(PEFT_PREFIX))
        return own is not None and own.shape == tensor.shape and bool((own == tensor.to(own)).all())

    return {name: tensor for name, tensor in tensors.items() if not is_in_base(name, tensor)}


def _require_finite(tensors: Mapping[str, Tensor], folder: Path) -> None:
    wrong = sorted(name for name, tensor in tensors.items() if not bool(tensor.isfinite().all()))
    if wrong:
        raise UserError(
            f"{len(wrong)} tensors of the adapter hold NaN or infinity: "
            f"{', '.join(wrong[:_MOST_NAMES_SHOWN])}",
            where=str(folder),
            hint="a training that diverged leaves such an adapter: use an earlier checkpoint",
        )


def _wrapper_types() -> tuple[type, ...]:
    """Return the types that peft puts in place of a module of the base."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    return BaseTunerLayer, AuxiliaryTrainingWrapper


def _check_fit(adapted: PeftModel, tensors: Mapping[str, Tensor], folder: Path) -> None:
    from peft import get_peft_model_state_dict

    model = adapted.get_base_model()
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    changed = any(isinstance(end, _wrapper_types()) for end in ends)
    if changed and model.config.tie_word_embeddings:
        raise _misfit("it changes an embedding that the base ties to its unembedding", folder)
    wanted = {
        name: tuple(tensor.shape)
        for name, tensor in get_peft_model_state_dict(adapted, save_embedding_layers=False).items()
    }
    held = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = sorted(name for name in held.keys() | wanted if held.get(name) != wanted.get(name))
    if wrong:
        faults = [
            f"{name} is {_in_words(held.get(name))}, not {_in_words(wanted.get(name))}"
            for name in wrong
        ]
        num_more = len(faults) - _MOST_NAMES_SHOWN
        more = f" and {num_more} more" if num_more > 0 else ""
        raise _misfit("; ".join(faults[:_MOST_NAMES_SHOWN]) + more, folder)


def _in_words(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else "x".join(map(str, shape))


def _misfit(what: str, folder: Path) -> UserError:
    return UserError(
        f"the adapter does not fit this base: {what}",
        where=str(folder),
        hint="the base must be the model that the adapter was trained on",
    )
