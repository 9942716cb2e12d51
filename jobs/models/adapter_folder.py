"""What the folder of a LoRA adapter holds, checked without torch and never unpickled.

Only what leaves its base as it is: with the adapter switched off, the base must be the base.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import UserError
from jobs.models.folder import DESCRIPTIONS

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
TOKENIZER = "tokenizer.json"
TOKENIZER_FILES = tuple(
    name for name in DESCRIPTIONS if name not in ("config.json", "generation_config.json")
)
"""Files beside the weights that an adapter may hold, and that then go before its base's."""

_TYPE = "LORA"
_UNDERSTOOD = (
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
"""Settings that say nothing of a trained adapter, or are checked by themselves."""
_INITIALISATIONS = (True, False, "gaussian", "eva", "orthogonal")
"""Those that leave the weights of the base alone; PiSSA, OLoRA, CorDA and LoftQ change them."""
_TASKS = (None, "CAUSAL_LM")


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """What an adapter_config.json says."""

    settings: Mapping[str, Any]
    """Settings for peft.LoraConfig; those that are not set are left out."""

    @property
    def facts(self) -> dict[str, Any]:
        """Type, rank and targets, as a record says them."""
        targets = self.settings.get("target_modules") or []
        kind = "dora" if self.settings.get("use_dora") else "lora"
        return {
            "type": kind,
            "rank": self.settings.get("r", 8),  # peft's own default
            "targets": [targets] if isinstance(targets, str) else sorted(targets),
        }


def check_adapter_folder(folder: Path, where: str) -> list[str]:
    """Names of the files of an adapter. Raises UserError for the first thing that is wrong."""
    read_adapter_config(folder, where)
    _check_weights(folder, where)
    return [CONFIG, WEIGHTS, *(name for name in TOKENIZER_FILES if (folder / name).is_file())]


def read_adapter_config(folder: Path, where: str | None = None) -> AdapterConfig:
    """The configuration of a LoRA adapter that leaves its base as it is.

    Raises:
        UserError: there is none, it does not parse, or it asks for what is not supported.
    """
    where = where or str(folder)
    if not (folder / CONFIG).is_file():
        names = sorted(path.name for path in folder.glob("*"))
        raise UserError(f"no {CONFIG}: found {', '.join(names) or 'nothing'}", where=where)
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise UserError(f"{CONFIG} is not JSON: {error}", where=where) from error
    if not isinstance(found, dict):
        raise UserError(f"{CONFIG} holds no JSON object", where=where)
    _check_settings(found, f"{where}, {CONFIG}")
    given = {name: found[name] for name in _UNDERSTOOD if found.get(name) not in (None, {}, [])}
    return AdapterConfig(settings=given)


def no_adapter_weights(names: Sequence[str], where: str) -> UserError:
    """What is there instead of an adapter's weights, and what can be done."""
    if "adapter_model.bin" in names:
        hint = (
            "a pickle can run code when it is opened; if you trust it, load the adapter with peft "
            "and save it again"
        )
    elif "model.safetensors" in names:
        hint = "this is a whole model: take it with kind `pretrained`"
    else:
        hint = "save an adapter there with peft's save_pretrained"
    found = ", ".join(sorted(names)) or "nothing"
    return UserError(
        f"no safetensors weights of an adapter: found {found}",
        where=where,
        allowed=[WEIGHTS],
        hint=hint,
    )


def _check_weights(folder: Path, where: str) -> None:
    from safetensors import SafetensorError, safe_open

    if not (folder / WEIGHTS).is_file():
        raise no_adapter_weights([path.name for path in folder.glob("*")], where)
    try:
        with safe_open(folder / WEIGHTS, framework="np"):
            return  # the file is as long as its header says
    except (SafetensorError, OSError) as error:
        raise UserError(f"{WEIGHTS} is broken or cut off: {error}", where=where) from error


def _check_settings(found: Mapping[str, Any], where: str) -> None:
    if found.get("peft_type") != _TYPE:
        raise UserError(
            f"adapters of type {found.get('peft_type')} are not supported",
            where=where,
            allowed=[_TYPE],
            hint="merge it into its base with peft and take that with kind `pretrained`",
        )
    if found.get("task_type") not in _TASKS:
        raise UserError(
            f"the adapter is for {found['task_type']}, not for a language model", where=where
        )
    beyond = [
        name
        for name, value in found.items()
        if name not in (*_UNDERSTOOD, *_WITHOUT_EFFECT) and value not in (None, False, {}, [])
    ]
    if found.get("bias", "none") != "none":
        beyond.append("bias")
    if found.get("init_lora_weights", True) not in _INITIALISATIONS:
        beyond.append("init_lora_weights")
    if beyond:
        raise UserError(
            f"the adapter uses {', '.join(beyond)}, with which switching it off "
            "would not give the base, or which is not known here",
            where=where,
            hint="merge it into its base with peft and take that with kind `pretrained`",
        )
