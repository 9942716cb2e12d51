"""How heads and positions of a `.gguf` file are said in config.json: widths, rotation, windows."""

import math
from collections.abc import Mapping
from typing import Any

from cluster.errors import UserError
from jobs.models.gguf.header import GgufHeader

ROPE_FREQS = "rope_freqs.weight"
"""The tensor with what rotary frequencies are divided by."""
_LLAMA3_LOW, _LLAMA3_HIGH, _LLAMA3_POSITIONS = 1.0, 4.0, 8192
"""How Llama 3.1 to 3.3 stretch rotary positions (their config.json); their factor differs."""
_CLOSE = 1e-4
_LOCAL_THETA = 10_000.0
"""Of the windowed blocks of Gemma 3, which its files do not say; llama.cpp takes the same."""
_LARGEST = {"gemma2": 46, "gemma3": 62}
"""Blocks of the 27 B models, whose queries are scaled by d_model / heads and not by their width."""


def rotary(header: GgufHeader, config: dict[str, Any]) -> Mapping[str, Any]:
    """Return head width and rotary positions; what the file does not say is as llama.cpp has it.

    Args:
        header: the file.
        config: sizes under transformers' names.

    Raises:
        UserError: a setting contradicts another, or has no place in transformers.
    """
    _require_full_attention(header, config)
    theta = header.setting("rope.freq_base", 10_000.0)
    return {
        "head_dim": _width(header, config),
        "rope_parameters": {"rope_theta": theta, **_scaling(header, theta)},
    }


def gemma2(header: GgufHeader, config: dict[str, Any]) -> Mapping[str, Any]:
    """Return what Gemma 2 has beside `rotary`: windows in every other block, and soft caps."""
    theta = header.setting("rope.freq_base", 10_000.0)
    return {
        **_scaled_queries(header, config),
        "rope_parameters": {"rope_theta": theta, **_scaling(header, theta)},
        "sliding_window": header.setting("attention.sliding_window"),
        "attn_logit_softcapping": header.setting("attn_logit_softcapping", 50.0),
        "final_logit_softcapping": header.setting("final_logit_softcapping", 30.0),
    }


def gemma3(header: GgufHeader, config: dict[str, Any]) -> Mapping[str, Any]:
    """Return what Gemma 3 has beside `rotary`: windows in five of six blocks, turned otherwise."""
    theta = header.setting("rope.freq_base", 1_000_000.0)
    return {
        **_scaled_queries(header, config),
        "rope_parameters": {
            "full_attention": {"rope_theta": theta, **_scaling(header, theta)},
            "sliding_attention": {"rope_theta": _LOCAL_THETA, "rope_type": "default"},
        },
        "sliding_window": header.setting("attention.sliding_window"),
    }


def _scaled_queries(header: GgufHeader, config: dict[str, Any]) -> Mapping[str, Any]:
    """Return head width, and what queries are scaled by the root of (llama.cpp, `gemma2.cpp`)."""
    width, blocks = _width(header, config), config["num_hidden_layers"]
    even = config["hidden_size"] // config["num_attention_heads"]
    is_largest = blocks == _LARGEST[header.architecture]
    return {"head_dim": width, "query_pre_attn_scalar": even if is_largest else width}


def _width(header: GgufHeader, config: dict[str, Any]) -> int:
    even = config["hidden_size"] // config["num_attention_heads"]
    width = header.setting("attention.key_length", even)
    for name in ("attention.value_length", "rope.dimension_count"):
        if (other := header.setting(name, width)) != width:
            raise UserError(
                f"{header.architecture}.{name} is {other}, where heads are {width} wide"
            )
    return int(width)


def _require_full_attention(header: GgufHeader, config: dict[str, Any]) -> None:
    """Raise UserError for a window: the first Mistral had one, which its files rarely say."""
    longest = config["max_position_embeddings"]
    if (window := header.setting("attention.sliding_window", longest)) < longest:
        raise UserError(
            f"it attends to windows of {window} tokens, which {header.architecture} of "
            "transformers does not",
            hint="use the checkpoint that it was made from",
        )


def _scaling(header: GgufHeader, theta: float) -> Mapping[str, Any]:
    kind = header.setting("rope.scaling.type", "none")
    if kind == "linear":
        return {"rope_type": "linear", "factor": header.setting("rope.scaling.factor")}
    if kind != "none":
        raise UserError(
            f"its positions are scaled by {kind!r}", allowed=["none", "linear", "Llama 3's"]
        )
    factors = _vector(header, ROPE_FREQS)
    if factors is None or all(factor == 1 for factor in factors):
        return {"rope_type": "default"}
    factor = max(factors)
    expected = [_llama3_factor(theta, n / len(factors), factor) for n in range(len(factors))]
    if any(abs(a / b - 1) > _CLOSE for a, b in zip(factors, expected, strict=True)):
        raise UserError(f"{ROPE_FREQS} scales its positions in a way that no config.json says")
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": _LLAMA3_LOW,
        "high_freq_factor": _LLAMA3_HIGH,
        "original_max_position_embeddings": _LLAMA3_POSITIONS,
    }


def _llama3_factor(theta: float, share: float, factor: float) -> float:
    """Return what Llama 3 divides the frequency theta^-share by (transformers' `llama3`)."""
    turns: float = _LLAMA3_POSITIONS * theta**-share / (2 * math.pi)
    smooth = min(1.0, max(0.0, (turns - _LLAMA3_LOW) / (_LLAMA3_HIGH - _LLAMA3_LOW)))
    return 1 / ((1 - smooth) / factor + smooth)


def _vector(header: GgufHeader, name: str) -> list[float] | None:
    """Read a tensor of a few 32-bit numbers; None where the file has none of the name."""
    import numpy as np

    tensor = header.tensors.get(name)
    if tensor is None:
        return None
    values = np.fromfile(header.path, "<f4", count=tensor.size, offset=tensor.offset)
    return [float(value) for value in values]
