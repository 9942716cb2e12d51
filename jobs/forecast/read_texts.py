"""`Reading`: the passes that kinds have in common which run a model over prompts or texts."""

import math
from dataclasses import dataclass
from typing import Protocol

from jobs.forecast.effort import Effort
from jobs.forecast.gpu_job import nodes_with, smallest_gpu_gb
from jobs.forecast.lengths import Lengths, prompt_lengths
from jobs.forecast.passes import (
    cache_bytes,
    decoding,
    forward,
    held_bytes,
    uses_math_kernel,
    weight_bytes,
)
from jobs.forecast.upstream_models import model_of
from jobs.kind import Situation, Upstream
from jobs.models.model_facts import WantedDtype, compute_dtype
from jobs.models.sizes import ModelSizes
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine

_PADDING = 1.05
"""Tokens forwarded per token, where batches are of texts of like length."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How one model is run over texts."""

    model: ModelSizes
    """Its sizes."""
    dtype: str
    """Computed in."""
    attention: str
    """The kernel asked for."""
    lengths: Lengths | None
    """The texts; None where nothing says how many there are."""
    token_budget: int
    """Most tokens forwarded together."""
    most: int
    """Tokens that a text is cut to, or left out above."""

    @property
    def texts(self) -> Lengths | None:
        """The texts; None where nothing says how many there are, or how long.

        All positions of a model are no length: one text of that many would be beyond a batch.
        """
        bound = self.lengths is not None and self.lengths.whence == "at most"
        return None if bound and self.most > self.token_budget else self.lengths

    @property
    def _is_unbounded(self) -> bool:
        return self.texts is None and self.most > self.token_budget

    @property
    def math_attention(self) -> bool:
        """Whether attention falls to the kernel that holds all scores."""
        return uses_math_kernel(self.model, self.dtype, self.attention)

    @property
    def longest(self) -> int:
        """Tokens of the longest text, as far as that is known."""
        return self.most if self.texts is None else self.texts.longest

    @property
    def batch(self) -> float:
        """Tokens of the largest batch."""
        total = math.inf if self.texts is None else self.texts.total * _PADDING
        return max(min(self.token_budget, total), self.longest)

    def pass_over(self, share: float = 1.0, *, outputs_each: float | None = 0.0) -> Effort | None:
        """Count forward passes over the texts; None where nothing says how many there are.

        Args:
            share: of the texts, or how many times all of them.
            outputs_each: tokens of a text whose logits are computed; None: all.
        """
        if self.texts is None:
            return None
        tokens = self.texts.total * _PADDING * share
        outputs = self.texts.count * share * (outputs_each or 0.0)
        return forward(
            self.model,
            dtype=self.dtype,
            tokens=tokens,
            length=self.texts.mean,
            passes=max(1, math.ceil(tokens / self.token_budget)),
            outputs=tokens if outputs_each is None else outputs,
            math_attention=self.math_attention,
        )

    def continued(self, new_tokens: int) -> Effort | None:
        """Count a continuation of every text; None where nothing says how many there are."""
        if self.texts is None:
            return None
        return decoding(
            self.model,
            dtype=self.dtype,
            prompts=self.texts.count,
            length=self.texts.mean,
            new_tokens=new_tokens,
            budget=self.token_budget,
        )

    def memory(self, *, outputs: float, models: int = 1, new_tokens: int = 0) -> dict[str, float]:
        """Return the bytes of a batch by part; of the weights alone where no length is known.

        Args:
            outputs: tokens of a batch whose logits are held at once.
            models: how many are held.
            new_tokens: tokens of a continuation; keys and values are kept for any.
        """
        held = held_bytes(
            self.model,
            dtype=self.dtype,
            tokens=self.batch,
            length=self.longest,
            outputs=outputs,
            math_attention=self.math_attention,
        )
        parts = {"weights": models * weight_bytes(self.model, self.dtype)}
        if self._is_unbounded:
            return parts
        parts["a batch"] = held
        if new_tokens:
            parts["keys and values"] = cache_bytes(self.model, dtype=self.dtype, tokens=self.batch)
        return parts

    @property
    def least_bytes(self) -> float:
        """Bytes that it cannot do without: the weights."""
        return weight_bytes(self.model, self.dtype)

    def why(self, doing: str) -> str:
        """Say what is done over what texts, and how that is known."""
        if self.texts is None:
            what = "many texts there are" if self.lengths is None else "long texts are"
            texts = f"how {what} is not known yet"
            texts += ", memory is of the weights alone" if self._is_unbounded else ""
        elif self.texts.whence == "at most":
            texts = f"at most {self.texts.count:,} texts of {self.texts.longest:,} tokens"
        else:
            texts = (
                f"{self.texts.count:,} texts of {self.texts.mean:.0f} tokens ({self.texts.whence})"
            )
        math_kernel = ", attention in float32 by the math kernel" if self.math_attention else ""
        size = f"{self.model.num_parameters / 1e9:.2f} B weights in {self.dtype}"
        return f"{doing}, {size}{math_kernel}: {texts}"


def total(*efforts: Effort | None) -> Effort | None:
    """Return all of them, one after the other; None where one is not known."""
    known = [effort for effort in efforts if effort is not None]
    return sum(known, start=Effort()) if len(known) == len(efforts) else None


def is_adapter(aligned: Upstream | None) -> bool:
    """Tell whether a model is an adapter on the base that it is read with."""
    if aligned is None:
        return False
    aligned = aligned.inputs.get("aligned", aligned)  # a snapshot is held as its run trained
    # A model that was published as an adapter names the base that it is on.
    return "base" in aligned.inputs or aligned.params.get("lora") is not None


def most_tokens(max_length: int | None, model: ModelSizes) -> int:
    """Return the tokens that a text is cut to, or left out above."""
    positions = model.shape.max_positions
    return min(max_length or positions, positions)


class ReadingParams(Protocol):
    """The params that say how a model reads prompts."""

    @property
    def dtype(self) -> WantedDtype:
        """Dtype to compute in."""
        ...

    @property
    def attention(self) -> str:
        """The kernel of attention."""
        ...

    @property
    def max_length(self) -> int | None:
        """Tokens above which a prompt is left out; None: the model's positions."""
        ...

    @property
    def token_budget(self) -> int:
        """Most tokens forwarded together."""
        ...


def reading_of_prompts(
    params: ReadingParams,
    at: Situation,
    planned: Planned[PromptLine],
    model_input: str,
    most: int | None = None,
) -> Reading | None:
    """Return how the model of an input reads the prompts; None while nothing says which it is.

    `most` bounds the tokens of a prompt where the params alone do not.
    """
    upstream = at.inputs.get(model_input)
    model = model_of(upstream)
    if model is None:
        return None
    longest = most_tokens(params.max_length, model)
    longest = longest if most is None else min(longest, most)
    return Reading(
        model=model,
        dtype=compute_dtype(params.dtype, model.num_parameters),
        attention=params.attention,
        lengths=prompt_lengths(planned, at.inputs.get("prompts"), upstream, longest),
        token_budget=params.token_budget,
        most=longest,
    )


def resident(at: Situation, reading: Reading, num_gpus: float) -> tuple[int, int]:
    """Return (models held at once, models loaded) of a base and its aligned model.

    An adapter is switched off for the base; two models that do not fit take turns.
    """
    if is_adapter(at.inputs.get("aligned")):
        return 1, 1
    gpu_gb = smallest_gpu_gb(nodes_with(at.machines, num_gpus))
    needed = 2 * 1.25 * reading.least_bytes / 1e9
    return (1, 2) if gpu_gb and needed > gpu_gb * max(1.0, num_gpus) else (2, 2)
