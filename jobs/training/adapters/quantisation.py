"""A base in 4 bits beside which an adapter is trained (QLoRA): requirements and configuration."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from cluster.errors import UserError
from jobs.training.adapters.lora_settings import Lora

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig

LIBRARY = "bitsandbytes"


def quantisation(lora: Lora | None, dtype: str, device: str) -> BitsAndBytesConfig | None:
    """Make the config by which `load_model` quantises weights; None where none is wanted.

    Args:
        lora: the adapter that is trained; None without one.
        dtype: of the products.
        device: of the base.

    Raises:
        UserError: the device is no GPU, or the library is not installed.
    """
    if lora is None or lora.quantised is None:
        return None
    if device == "cpu":
        raise UserError(
            "a quantised base needs a GPU, and this job has none",
            where="lora.quantised",
            allowed=["null"],
            hint="set num_gpus, or train the adapter beside the base as it is",
        )
    if find_spec(LIBRARY) is None:
        raise UserError(
            f"a quantised base needs {LIBRARY}, which is not installed",
            where="lora.quantised",
            allowed=["null"],
            hint="pip install 'deltascale[qlora]' on every machine that trains",
        )
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=lora.quantised,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
        bnb_4bit_quant_storage=torch.uint8,
    )
