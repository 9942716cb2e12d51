"""Shapes of models that the GPU check trains and reads; their tiny stand-ins for a rehearsal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.gpu.machine import Machine
from jobs.models.family import FAMILIES

_GPT2 = {"family": "gpt2", "vocab_size": 50257, "max_positions": 1024}
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "gpt2": {**_GPT2, "num_layers": 12, "d_model": 768, "num_heads": 12},
    "gpt2-medium": {**_GPT2, "num_layers": 24, "d_model": 1024, "num_heads": 16},
    "gpt2-xl": {**_GPT2, "num_layers": 48, "d_model": 1600, "num_heads": 25},
    "llama-3b": {
        "family": "llama", "num_layers": 28, "d_model": 3072, "num_heads": 24, "tie": True,
        "num_key_value_heads": 8, "d_mlp": 8192, "vocab_size": 128256, "max_positions": 4096,
    },
    "mistral-7b": {
        "family": "mistral", "num_layers": 32, "d_model": 4096, "num_heads": 32,
        "num_key_value_heads": 8, "d_mlp": 14336, "vocab_size": 32000, "max_positions": 4096,
    },
}  # fmt: skip
"""From 0.1 to 7 thousand million parameters."""
_TINY = {"num_layers": 2, "d_model": 32, "num_heads": 4, "vocab_size": 200, "max_positions": 256}


def shapes(machine: Machine) -> Mapping[str, Mapping[str, Any]]:
    """Return the shapes, tiny ones of the same families in a rehearsal."""
    if not machine.rehearses:
        return SHAPES
    return {name: tiny(fields["family"], layers=1 + number)
            for number, (name, fields) in enumerate(SHAPES.items())}  # fmt: skip


def tiny(family: str, *, layers: int = 3) -> dict[str, Any]:
    """Return a shape of a family that fits anywhere, its heads grouped where the family can."""
    fields = {"family": family, **_TINY, "num_layers": layers}
    known = FAMILIES.find(family).FIELDS
    if "num_key_value_heads" in known:
        fields["num_key_value_heads"] = 2
    return fields | {"d_mlp": 64}
