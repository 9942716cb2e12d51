"""Writes settings of a checkpoint under the names that transformers 4 knows, beside those of 5.

What reads by the old names (transformers 4, and programs built on it) passes over `rope_parameters`
in silence and turns positions by its default base; of tokenizers it knows no `TokenizersBackend`.
"""

from collections.abc import Mapping
from typing import Any

_FULL, _LOCAL = "full_attention", "sliding_attention"
_BASE, _SHARE = "rope_theta", "partial_rotary_factor"
_OF_NEOX = {_BASE: "rotary_emb_base", _SHARE: "rotary_pct"}
"""What GPT-NeoX calls them."""


def config_with_older_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping of a config.json, with positions and dtype under their older names, too.

    What stands there already under an older name stays.
    """
    given = config.get("rope_parameters")
    older = _positions(given, config.get("model_type")) if isinstance(given, Mapping) else {}
    dtype = {"torch_dtype": config["dtype"]} if "dtype" in config else {}
    return {**older, **dtype, **config}


def _positions(rope: Mapping[str, Any], model_type: object) -> dict[str, Any]:
    """Return rotary positions as transformers 4 names them."""
    local = rope.get(_LOCAL)
    whole = rope.get(_FULL) if isinstance(local, Mapping) else rope
    if not isinstance(whole, Mapping):
        return {}
    named = _OF_NEOX if model_type == "gpt_neox" else {}
    older = {named.get(name, name): whole[name] for name in (_BASE, _SHARE) if name in whole}
    if isinstance(local, Mapping) and _BASE in local:
        older["rope_local_base_freq"] = local[_BASE]
    scaled = {name: value for name, value in whole.items() if name not in (_BASE, _SHARE)}
    if scaled.get("rope_type", "default") != "default":
        older["rope_scaling"] = scaled
    return older


def tokenizer_with_older_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping of a tokenizer_config.json as transformers 4 can read it, too."""
    known = dict(settings)
    if known.get("tokenizer_class") == "TokenizersBackend":
        known["tokenizer_class"] = "PreTrainedTokenizerFast"
    listed = known.get("extra_special_tokens")
    if isinstance(listed, list):
        known["additional_special_tokens"] = known.pop("extra_special_tokens")
    return known
