"""`LanguageModel`: what the rest of the house asks of a causal language model in memory."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch.nn import Module
from transformers import GenerationConfig, PretrainedConfig
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast


@runtime_checkable
class LanguageModel(Protocol):
    """A transformers model, or one state of a resident model with an adapter (`Switched`)."""

    @property
    def config(self) -> PretrainedConfig:
        """The config of the checkpoint."""

    @property
    def generation_config(self) -> GenerationConfig | None:
        """How the checkpoint generates."""

    @property
    def device(self) -> torch.device:
        """Device of the weights; the first one where there are several."""

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights."""

    def get_submodule(self, target: str) -> Module:
        """Return the module at a path."""

    def base_model(self, **inputs: object) -> BaseModelOutputWithPast:
        """Run the backbone, without unembedding."""

    def __call__(self, **inputs: object) -> CausalLMOutputWithPast:
        """Run the whole model; the output has `logits`."""
