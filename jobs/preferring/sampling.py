"""Continuations that a model samples from its own distribution, token by token.

By inverse transform of numbers drawn beforehand, a row for each pair: what is sampled depends on no
batch (but for a draw within rounding of a border), and two models take the same draws, so that
their samples differ no more than their distributions do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from jobs.behaviour.decoding import TokenChoice, decode
from jobs.models.language_model import LanguageModel
from jobs.predicting.output_tokens import OutputTokens
from jobs.preferring.sequences import plan_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """One sampled continuation of each of some pairs' prompts."""

    places: Int64[np.ndarray, " samples"]
    """Index of the pair whose prompt each continues."""
    prompts: Sequence[Sequence[int]]
    """Tokens of these prompts."""
    answers: Sequence[Sequence[int]]
    """Tokens sampled after each, without the one that ends a text."""
    new_tokens: int
    """Most tokens each could have."""

    def outputs(self, groups: Int64[np.ndarray, " pairs"]) -> OutputTokens:
        """Return every token that was sampled as an output, the end of a text included."""
        plan = plan_of([*zip(self.prompts, self.answers, strict=True)], groups[self.places])
        lengths = np.array([len(answer) for answer in self.answers], dtype=np.int64)
        counts = np.minimum(lengths + 1, self.new_tokens)
        numbers = np.concatenate([np.arange(count) for count in counts])
        ends = plan.offsets[1:] - lengths - 1
        return OutputTokens(
            plan=plan,
            after=np.repeat(ends, counts) + numbers,
            numbers=numbers + 1,
            num_generated=len(counts),
        )


def drawn_for(
    pairs: Sequence[int], new_tokens: int, seed: int
) -> Float64[np.ndarray, "pairs tokens"]:
    """Draw a uniform number for each token of each pair, from the pair's id and the seed alone."""
    return np.stack([np.random.default_rng([seed, pair]).random(new_tokens) for pair in pairs])


def sample(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    draws: Float64[np.ndarray, "pairs tokens"],
    *,
    vocab_size: int,
    num_positions: int,
    token_budget: int,
    after_batch: Callable[[int], None] = lambda done: None,
) -> Samples:
    """Sample a continuation of every prompt that has a token and leaves room for one.

    Args:
        model: a causal language model in eval mode.
        prompts: token ids of each pair's prompt.
        draws: uniform, from [0, 1).
        vocab_size: tokens to sample among: the first so many.
        num_positions: positions of the model.
        token_budget: most tokens forwarded together, padding and continuations included.
        after_batch: called with the number of prompts done.
    """
    new_tokens = draws.shape[1]
    places = [i for i, ids in enumerate(prompts) if 0 < len(ids) <= num_positions - new_tokens]
    answers = decode(
        model,
        [prompts[i] for i in places],
        new_tokens,
        token_budget=token_budget,
        choose=by_inverse_transform(draws[places], vocab_size),
        after_batch=after_batch,
    )
    return Samples(
        places=np.array(places, dtype=np.int64),
        prompts=[prompts[i] for i in places],
        answers=answers,
        new_tokens=new_tokens,
    )


def by_inverse_transform(
    draws: Float64[np.ndarray, "prompts tokens"], vocab_size: int
) -> TokenChoice:
    """Make what samples a token by the first at which the cumulated probability is above a draw.

    In fp64: a cumulated sum of 10^5 probabilities in fp32 is off in the fourth digit.
    """

    def choose(logits: Tensor, prompts: Sequence[int], num_decoded: int) -> Tensor:
        upto = logits[:, :vocab_size].double().softmax(dim=-1).cumsum(dim=-1)
        drawn = torch.from_numpy(draws[list(prompts), num_decoded]).to(upto)
        below = upto <= (drawn * upto[:, -1])[:, None]
        return below.sum(dim=-1).clamp(max=vocab_size - 1)

    return choose
