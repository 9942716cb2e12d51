"""Checks the folder of a LoRA adapter, without torch; nothing is ever unpickled.

An adapter must leave its base as it is: switched off, the base must be the base.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any

from cluster.errors import UserError
from jobs.models.checkpoint_files import TOKENIZER_FILES
from jobs.models.file_content import require_content
from jobs.models.folder import check_descriptions, read_json_object, read_tensors
from jobs.models.stored_bytes import tensors_in
from jobs.models.weight_names import refuse_wrapped_adapter
from jobs.sources.placeholders import require_target

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PICKLE = "adapter_model.bin"
_FACTOR = re.compile(
    r"(?P<module>.+)\.lora_(?:embedding_)?(?P<factor>A|B|magnitude_vector)(\.weight)?"
)
_MOST_SHOWN = 3

_TYPE = "LORA"
_PASSED_ON = (
    *("r", "lora_alpha", "target_modules", "exclude_modules", "fan_in_fan_out", "modules_to_save"),
    *("use_rslora", "use_dora", "rank_pattern", "alpha_pattern"),
    *("layers_to_transform", "layers_pattern"),
)
"""Settings that are passed on to peft."""
_WITHOUT_EFFECT = (
    *("auto_mapping", "base_model_name_or_path", "inference_mode", "peft_type", "peft_version"),
    *("revision", "task_type", "lora_dropout", "init_lora_weights", "bias", "runtime_config"),
    *("megatron_core", "qalora_group_size", "loftq_config", "eva_config"),
)
"""Settings without effect on a trained adapter, or with a check of their own."""
_INITIALISATIONS = (True, False, "gaussian", "eva", "orthogonal")
"""Initialisations that keep the base's weights; PiSSA, OLoRA, CorDA and LoftQ change them."""
_A_MODEL = "this is a whole model: take it with kind `pretrained`"
_TASKS = (None, "CAUSAL_LM")
_NUMBER, _LIST = (int | float, "a number"), (str | list, "a name or a list of names")
_MAPPING, _FLAG = (dict, "a mapping"), (bool, "true or false")
_WANTED = {
    "r": (int, "a whole number"),
    "lora_alpha": _NUMBER,
    "target_modules": _LIST,
    "exclude_modules": _LIST,
    "modules_to_save": _LIST,
    "rank_pattern": _MAPPING,
    "alpha_pattern": _MAPPING,
    "fan_in_fan_out": _FLAG,
    "use_rslora": _FLAG,
    "use_dora": _FLAG,
}
"""Types of settings, as peft saves them."""


def check_adapter_folder(folder: Path, where: str) -> list[str]:
    """List the files of an adapter. Raises UserError for the first thing that is wrong."""
    read_adapter_settings(folder, where)
    require_target(folder / WEIGHTS, where)
    if not (folder / WEIGHTS).is_file():
        if (folder / _PICKLE).is_file():
            require_content(folder / _PICKLE, where)
        raise no_adapter_weights([path.name for path in folder.glob("*")], where)
    check_descriptions(folder, TOKENIZER_FILES, where)
    tensors = read_tensors(folder / WEIGHTS, where)  # the file is as long as its header says
    refuse_wrapped_adapter(tensors.keys(), where)
    return [CONFIG, WEIGHTS, *(name for name in TOKENIZER_FILES if (folder / name).is_file())]


def check_trained_adapter(folder: Path, where: str) -> list[str]:
    """List the files of an adapter that somebody trained; see `check_adapter_folder`.

    Raises UserError for one that changes nothing, too; our own are kept untrained where that is
    asked for (a snapshot before the first step).
    """
    names = check_adapter_folder(folder, where)
    _refuse_untrained(folder, where)
    return names


def _refuse_untrained(folder: Path, where: str) -> None:
    """Raise UserError for an adapter that is empty, or whose every product is zero.

    So it is before training, and after one that did not reach it (ZeRO-3, activation checkpointing
    without gradients of the inputs).
    """
    tensors = tensors_in(folder / WEIGHTS)
    hint = "save it again from the trained model, all ranks together: check that lora_B is not zero"
    if empty := [name for name, tensor in tensors.items() if tensor.start == tensor.end]:
        raise UserError(
            f"tensors of the adapter are empty: {', '.join(sorted(empty)[:_MOST_SHOWN])}",
            where=where,
            hint=hint,
        )
    modules: dict[str, list[str]] = {}
    for name in tensors:
        found = _FACTOR.fullmatch(name)
        if found is None:
            return  # it changes something else, too
        if found["factor"] != "magnitude_vector":
            modules.setdefault(found["module"], []).append(name)
    if modules and all(any(tensors[n].is_zero() for n in names) for names in modules.values()):
        raise UserError(
            "the adapter changes nothing: every lora_B is zero, as before training",
            where=where,
            hint=hint,
        )


def read_adapter_settings(folder: Path, where: str | None = None) -> dict[str, Any]:
    """Read the settings for peft.LoraConfig of a LoRA adapter that leaves its base as it is.

    Settings that are not set are left out.

    Raises:
        UserError: there is none, it does not parse, or it holds settings that are not supported.
    """
    where = where or str(folder)
    is_model = (folder / "config.json").is_file()
    config = read_json_object(folder / CONFIG, where, hint=_A_MODEL if is_model else None)
    _check_settings(config, f"{where}, {CONFIG}")
    return {name: config[name] for name in _PASSED_ON if config.get(name) not in (None, {}, [])}


def adapter_facts(folder: Path) -> dict[str, object]:
    """Return type, rank and targets of an adapter, as a record holds them."""
    settings = read_adapter_settings(folder)
    targets = settings.get("target_modules") or []
    return {
        "type": "dora" if settings.get("use_dora") else "lora",
        "rank": settings.get("r", 8),  # peft's own default
        "targets": [targets] if isinstance(targets, str) else sorted(targets),
    }


def _is_of(value: object, types: type | UnionType) -> bool:
    is_list_of_others = isinstance(value, list) and not all(isinstance(part, str) for part in value)
    is_flag = isinstance(value, bool)
    return isinstance(value, types) and not is_list_of_others and is_flag == (types is bool)


def no_adapter_weights(names: Sequence[str], where: str) -> UserError:
    """Make the fault for a folder without an adapter's weights: what it holds, what to do."""
    if _PICKLE in names:
        hint = (
            "a pickle can run code when it is opened; if you trust it, load the adapter with peft "
            "and save it again"
        )
    elif "model.safetensors" in names:
        hint = _A_MODEL
    else:
        hint = "save an adapter there with peft's save_pretrained"
    held = ", ".join(sorted(names)) or "nothing"
    return UserError(
        f"no safetensors weights of an adapter: found {held}",
        where=where,
        allowed=[WEIGHTS],
        hint=hint,
    )


def _check_settings(config: Mapping[str, object], where: str) -> None:
    if config.get("peft_type") != _TYPE:
        raise UserError(
            f"adapters of type {config.get('peft_type')} are not supported",
            where=where,
            allowed=[_TYPE],
            hint="merge it into its base with peft and take that with kind `pretrained`",
        )
    for name, (types, wanted) in _WANTED.items():
        value = config.get(name)
        if value is not None and not _is_of(value, types):
            raise UserError(f"{name} is {value!r}, which is not {wanted}", where=where)
    if config.get("task_type") not in _TASKS:
        raise UserError(
            f"the adapter is for {config['task_type']}, not for a language model", where=where
        )
    beyond = [
        name
        for name, value in config.items()
        if name not in (*_PASSED_ON, *_WITHOUT_EFFECT) and value not in (None, False, {}, [])
    ]
    if config.get("bias", "none") != "none":
        beyond.append("bias")
    if config.get("init_lora_weights", True) not in _INITIALISATIONS:
        beyond.append("init_lora_weights")
    if beyond:
        raise UserError(
            f"the adapter uses {', '.join(beyond)}, which is not supported here, or changes "
            "the base even with the adapter switched off",
            where=where,
            hint="merge it into its base with peft and take that with kind `pretrained`",
        )
