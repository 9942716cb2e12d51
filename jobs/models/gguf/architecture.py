"""What each architecture of llama.cpp's is in transformers: its settings, and the tensors it has.

Lists are closed. A setting or a tensor that nobody here knows would change what the model computes
and be dropped in silence, so it is refused by its name.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.errors import UserError, unknown_name
from jobs.models.gguf.header import GgufHeader
from jobs.models.gguf.stored_types import is_tied

_ROPE_FREQS = "rope_freqs.weight"
_LLAMA3_LOW, _LLAMA3_HIGH, _LLAMA3_POSITIONS = 1.0, 4.0, 8192
"""How Llama 3.1 to 3.3 stretch rotary positions (their config.json); their factor differs."""
_CLOSE = 1e-4
_DIGITS = 7
"""Decimal digits that 32 bits hold: 1e-05 was written, 9.999999747378752e-06 is read."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One architecture of llama.cpp's as transformers has it."""

    family: str
    """Its model_type in transformers."""
    settings: Mapping[str, str]
    """Name below the architecture's in the file -> name in config.json."""
    read_elsewhere: frozenset[str] = frozenset()
    """Names below the architecture's that `finish` reads, or that only repeat others."""
    finish: Callable[[GgufHeader, dict[str, Any]], Mapping[str, Any]]
    """(header, settings read) -> what config.json holds beside them."""
    matrices: frozenset[str]
    """Names in a block, each with a weight."""
    biases: frozenset[str] = frozenset()
    """Names in a block with a bias, too."""
    outside: frozenset[str]
    """Names of whole tensors outside of blocks."""
    unread: frozenset[str] = field(default=frozenset())
    """Tensors that the config stands for, so that no module holds them."""


_HARMLESS: Mapping[str, Callable[[Any], bool]] = {
    "attention.causal": lambda value: value is True,
    "expert_count": lambda value: value == 0,
    "expert_used_count": lambda value: value == 0,
    "rope.scaling.finetuned": lambda value: True,
    "rope.scaling.original_context_length": lambda value: True,
    "tensor_data_layout": lambda value: True,
}
"""Name below the architecture's -> whether a value changes nothing; no other is passed over.
All files of llama have the layout that its converters write, whatever they say of it."""


def _number(header: GgufHeader, name: str, default: float | str | None = None) -> Any:
    value = header.settings.get(f"{header.architecture}.{name}", default)
    if value is None:
        raise UserError(f"the file does not say {header.architecture}.{name}")
    return value


def _rotary(header: GgufHeader, config: dict[str, Any]) -> Mapping[str, Any]:
    """Return head width and rotary positions; what the file does not say is as llama.cpp has it."""
    even = config["hidden_size"] // config["num_attention_heads"]
    width = _number(header, "attention.key_length", even)
    for name in ("attention.value_length", "rope.dimension_count"):
        if (other := _number(header, name, width)) != width:
            raise UserError(
                f"{header.architecture}.{name} is {other}, where heads are {width} wide"
            )
    _require_full_attention(header, config)
    theta = _written(_number(header, "rope.freq_base", 10_000.0))
    return {"head_dim": width, "rope_parameters": {"rope_theta": theta, **_scaling(header, theta)}}


def _require_full_attention(header: GgufHeader, config: dict[str, Any]) -> None:
    """Raise UserError for a window: the first Mistral had one, which its files rarely say."""
    longest = config["max_position_embeddings"]
    if (window := _number(header, "attention.sliding_window", longest)) < longest:
        raise UserError(
            f"it attends to windows of {window} tokens, which {header.architecture} of "
            "transformers does not",
            hint="use the checkpoint that it was made from",
        )


def _scaling(header: GgufHeader, theta: float) -> Mapping[str, Any]:
    kind = _number(header, "rope.scaling.type", "none")
    if kind == "linear":
        return {"rope_type": "linear", "factor": _number(header, "rope.scaling.factor")}
    if kind != "none":
        raise UserError(
            f"its positions are scaled by {kind!r}", allowed=["none", "linear", "Llama 3's"]
        )
    factors = _vector(header, _ROPE_FREQS)
    if factors is None or all(factor == 1 for factor in factors):
        return {"rope_type": "default"}
    factor = max(factors)
    expected = [_llama3_factor(theta, n / len(factors), factor) for n in range(len(factors))]
    if any(abs(a / b - 1) > _CLOSE for a, b in zip(factors, expected, strict=True)):
        raise UserError(f"{_ROPE_FREQS} scales its positions in a way that no config.json says")
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


def _written(value: float) -> float:
    """Return a number as it was written before 32 bits rounded it."""
    return float(f"{value:.{_DIGITS}g}")


def _no_more(header: GgufHeader, config: dict[str, Any]) -> Mapping[str, Any]:
    return {}


_LLAMA_SETTINGS = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}
_ROTARY_SETTINGS = frozenset(
    {
        *("attention.key_length", "attention.value_length", "vocab_size", "rope.dimension_count"),
        *("rope.freq_base", "rope.scaling.type", "rope.scaling.factor"),
        "attention.sliding_window",
    }
)
_LLAMA_MATRICES = frozenset(
    {
        *("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output"),
        *("ffn_norm", "ffn_gate", "ffn_up", "ffn_down"),
    }
)
_LLAMA_OUTSIDE = frozenset({"token_embd.weight", "output_norm.weight", "output.weight"})
_GPT2_MODULES = frozenset(
    {"attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down"}
)

ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": Architecture(
        family="llama",
        settings=_LLAMA_SETTINGS,
        read_elsewhere=_ROTARY_SETTINGS,
        finish=_rotary,
        matrices=_LLAMA_MATRICES,
        outside=_LLAMA_OUTSIDE | {_ROPE_FREQS},
        unread=frozenset({_ROPE_FREQS}),
    ),
    "qwen2": Architecture(
        family="qwen2",
        settings=_LLAMA_SETTINGS,
        read_elsewhere=_ROTARY_SETTINGS,
        finish=_rotary,
        matrices=_LLAMA_MATRICES,
        biases=frozenset({"attn_q", "attn_k", "attn_v"}),
        outside=_LLAMA_OUTSIDE,
    ),
    "qwen3": Architecture(
        family="qwen3",
        settings=_LLAMA_SETTINGS,
        read_elsewhere=_ROTARY_SETTINGS,
        finish=_rotary,
        matrices=_LLAMA_MATRICES | {"attn_q_norm", "attn_k_norm"},
        outside=_LLAMA_OUTSIDE,
    ),
    "gpt2": Architecture(
        family="gpt2",
        settings={
            "block_count": "n_layer",
            "context_length": "n_positions",
            "embedding_length": "n_embd",
            "feed_forward_length": "n_inner",
            "attention.head_count": "n_head",
            "attention.layer_norm_epsilon": "layer_norm_epsilon",
        },
        read_elsewhere=frozenset({"vocab_size"}),
        finish=_no_more,
        matrices=_GPT2_MODULES,
        biases=_GPT2_MODULES,
        outside=frozenset(
            {"token_embd.weight", "position_embd.weight", "output_norm.weight"}
            | {"output_norm.bias", "output.weight"}
        ),
    ),
}
"""llama.cpp's name -> what it is here; Mistral's files name themselves llama."""


def config_of(header: GgufHeader) -> dict[str, Any]:
    """Return the config.json that a file stands for.

    Raises:
        UserError: its architecture, a setting or a tensor is not known here. `where` is left to
            the caller.
    """
    architecture = _architecture(header)
    _require_known(header, architecture)
    read = {
        name: _written(value) if isinstance(value, float) else value
        for setting, name in architecture.settings.items()
        for value in [_number(header, setting, _default(header, setting))]
    }
    rows = header.tensors["token_embd.weight"].shape[0]
    return {
        "model_type": architecture.family,
        "vocab_size": rows,
        **read,
        **architecture.finish(header, read),
        "tie_word_embeddings": is_tied(header),
        **{name: header.settings.get(f"tokenizer.ggml.{name}") for name in _SPECIAL},
    }


def _default(header: GgufHeader, setting: str) -> Any:
    """Return what llama.cpp takes for a setting that a file does not say; None where it must."""
    return _number(header, "attention.head_count") if setting == _KEY_VALUE_HEADS else None


_KEY_VALUE_HEADS = "attention.head_count_kv"
_SPECIAL = ("bos_token_id", "eos_token_id")


def _architecture(header: GgufHeader) -> Architecture:
    if header.architecture not in ARCHITECTURES:
        raise unknown_name("architecture", header.architecture, ARCHITECTURES)
    return ARCHITECTURES[header.architecture]


def _require_known(header: GgufHeader, architecture: Architecture) -> None:
    prefix = f"{header.architecture}."
    settings = {
        short
        for name, value in header.settings.items()
        if name.startswith(prefix)
        and not _HARMLESS.get(short := name.removeprefix(prefix), lambda _: False)(value)
    }
    if unknown := sorted(settings - architecture.settings.keys() - architecture.read_elsewhere):
        raise UserError(
            f"it has settings that nothing here reads: {', '.join(prefix + n for n in unknown)}"
        )
    wanted, allowed = _tensors(header, architecture)
    if unknown := sorted(header.tensors.keys() - allowed):
        raise UserError(
            f"it has tensors that {architecture.family} has no place for: {_some(unknown)}"
        )
    if missing := sorted(wanted - header.tensors.keys()):
        raise UserError(f"it lacks {_some(missing)}")


def _tensors(header: GgufHeader, architecture: Architecture) -> tuple[set[str], set[str]]:
    """Return the names of tensors that must be there, and of those that may be."""
    num_blocks = _number(header, "block_count")
    blocks = [f"blk.{number}" for number in range(min(num_blocks, len(header.tensors)))]
    inside = {f"{block}.{name}.weight" for block in blocks for name in architecture.matrices}
    inside |= {f"{block}.{name}.bias" for block in blocks for name in architecture.biases}
    allowed = inside | architecture.outside
    return allowed - architecture.unread - {"output.weight"}, allowed


def _some(names: list[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
