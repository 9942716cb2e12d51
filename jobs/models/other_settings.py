"""Do two states of a model compute alike, but for their weights? What their configs say otherwise.

An aligned model whose config.json lost its base of rotary positions (transformers 4 passes over
what 5 writes), or that was made of another release than the base at hand, turns every activation by
more than its training did.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jobs.models.family import name_of_family
from jobs.models.shape import ConfigMapping

_SETTINGS = (
    *("rope_parameters", "hidden_act", "hidden_activation", "activation_function"),
    *("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "embedding_multiplier"),
    *("sliding_window", "layer_types", "num_attention_heads", "num_key_value_heads", "head_dim"),
    *("attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar"),
    *("scale_attn_weights", "scale_attn_by_inverse_layer_idx", "use_parallel_residual"),
    *("do_layer_norm_before", "_remove_final_layer_norm", "qk_layernorm"),
)
"""Names in transformers of what decides, beside the weights, what a model computes."""
_WITHOUT_EFFECT = ("type", "finetuned")
"""Names in a rotation that repeat another, or that nothing reads."""
_FIRST = ("rope_theta", "rope_type")
"""Names in a rotation that say most."""
_MOST_SHOWN = 4
_CLOSE = 1e-5


def computed_otherwise(base: ConfigMapping, aligned: ConfigMapping) -> str | None:
    """Say which settings of two config.json differ, as transformers reads them; None where none do.

    A config that transformers cannot read differs in nothing here: loading it says what is wrong.
    """
    if (one := _written(base)) == (other := _written(aligned)):
        return None
    return _compared(*(json.dumps(each, sort_keys=True) for each in (one, other)))


@lru_cache(maxsize=256)
def _compared(base: str, aligned: str) -> str | None:
    """Compare two that are not written alike, once for all jobs."""
    first, second = (dict(_read(json.loads(config))) for config in (base, aligned))
    if not first or not second:
        return None
    names = [n for n in first | second if not _are_equal(first.get(n), second.get(n))]
    shown = [f"{n} {_in_words(first, n)} and {_in_words(second, n)}" for n in names[:_MOST_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") if names else None


def _written(config: ConfigMapping) -> Mapping[str, Any]:
    """Return all that a config.json says but where it comes from, which tells nothing."""
    silent = ("_name_or_path", "architectures", "transformers_version", "torch_dtype", "dtype")
    return {name: value for name, value in config.items() if name not in silent}


def _read(config: ConfigMapping) -> Iterator[tuple[str, Any]]:
    """Yield the settings as transformers reads them, whichever version wrote them."""
    from transformers import AutoConfig

    given = dict(config)
    try:
        given.pop("model_type")
        settings = AutoConfig.for_model(name_of_family(config), **given).to_dict()
    except Exception:  # the library raises whatever its readers meet
        return
    for name in _SETTINGS:
        value = settings.get(name)
        if name == "rope_parameters" and isinstance(value, Mapping):
            yield from _flat(value)
        elif name in settings:
            yield name, value


def _flat(rope: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield how positions are turned, by layer where layers differ."""
    for name, value in sorted(rope.items(), key=lambda item: item[0] not in _FIRST):
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name} ")
        elif name not in _WITHOUT_EFFECT:
            yield before + name, value


def _are_equal(first: object, second: object) -> bool:
    """Compare settings; a `.gguf` file holds numbers of 32 bits."""
    if isinstance(first, float | int) and isinstance(second, float | int):
        return math.isclose(first, second, rel_tol=_CLOSE)
    return first == second


def _in_words(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    return "none" if value is None else str(value)
