"""What each architecture of llama.cpp's is in transformers: its settings, and the tensors it has.

Lists are closed. A setting or a tensor that nobody here knows would change what the model computes
and be dropped in silence, so it is refused by its name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.errors import UserError, unknown_name
from jobs.models.gguf.header import GgufHeader
from jobs.models.gguf.positions import ROPE_FREQS, gemma2, gemma3, rotary
from jobs.models.gguf.stored_types import is_tied


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
_GEMMA_MATRICES = _LLAMA_MATRICES | {"post_attention_norm", "post_ffw_norm"}
_GPT2_MODULES = frozenset(
    {"attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down"}
)

ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": Architecture(
        family="llama",
        settings=_LLAMA_SETTINGS,
        read_elsewhere=_ROTARY_SETTINGS,
        finish=rotary,
        matrices=_LLAMA_MATRICES,
        outside=_LLAMA_OUTSIDE | {ROPE_FREQS},
        unread=frozenset({ROPE_FREQS}),
    ),
    "qwen2": Architecture(
        family="qwen2",
        settings=_LLAMA_SETTINGS,
        read_elsewhere=_ROTARY_SETTINGS,
        finish=rotary,
        matrices=_LLAMA_MATRICES,
        biases=frozenset({"attn_q", "attn_k", "attn_v"}),
        outside=_LLAMA_OUTSIDE,
    ),
    "qwen3": Architecture(
        family="qwen3",
        settings=_LLAMA_SETTINGS,
        read_elsewhere=_ROTARY_SETTINGS,
        finish=rotary,
        matrices=_LLAMA_MATRICES | {"attn_q_norm", "attn_k_norm"},
        outside=_LLAMA_OUTSIDE,
    ),
    "gemma2": Architecture(
        family="gemma2",
        settings=_LLAMA_SETTINGS,
        read_elsewhere=_ROTARY_SETTINGS | {"attn_logit_softcapping", "final_logit_softcapping"},
        finish=gemma2,
        matrices=_GEMMA_MATRICES,
        outside=_LLAMA_OUTSIDE,
    ),
    "gemma3": Architecture(
        family="gemma3_text",
        settings=_LLAMA_SETTINGS,
        read_elsewhere=_ROTARY_SETTINGS,
        finish=gemma3,
        matrices=_GEMMA_MATRICES | {"attn_q_norm", "attn_k_norm"},
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
        name: header.setting(setting, _default(header, setting))
        for setting, name in architecture.settings.items()
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
    return header.setting("attention.head_count") if setting == _KEY_VALUE_HEADS else None


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
    num_blocks = header.setting("block_count")
    blocks = [f"blk.{number}" for number in range(min(num_blocks, len(header.tensors)))]
    inside = {f"{block}.{name}.weight" for block in blocks for name in architecture.matrices}
    inside |= {f"{block}.{name}.bias" for block in blocks for name in architecture.biases}
    allowed = inside | architecture.outside
    return allowed - architecture.unread - {"output.weight"}, allowed


def _some(names: list[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
