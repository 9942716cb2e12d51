"""Does a server serve these weights? Its greedy tokens, read by the model whose weights are here.

A server computes in its own kernels and often in another dtype, so that a token may differ where
two are about as likely. What is compared is therefore not tokens but nats: by how much the server's
token is less likely here than the likeliest one, and its log-probability there and here.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor

from cluster.errors import UserError
from jobs.models.family import family_of_config
from jobs.models.language_model import LanguageModel
from jobs.service.completions import ServedTokens


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One prompt, and what the server wrote behind it."""

    prompt: Sequence[int]
    """Its tokens."""
    answer: ServedTokens
    """With log-probabilities where the server tells them."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far server and weights agree on the probes."""

    num_prompts: int
    """Prompts compared."""
    num_tokens: int
    """Tokens compared, ends of texts among them."""
    num_likeliest: int
    """Tokens of the server that are the likeliest here, too."""
    mean_gap: float
    """Mean over tokens, in nats, by which the server's token is less likely here than the
    likeliest."""
    largest_gap: float
    """The largest."""
    mean_difference: float | None
    """Mean over tokens of the absolute difference of the log-probabilities there and here, in nats;
    None where the server tells none."""

    @property
    def distance(self) -> float:
        """What must not exceed the tolerance, in nats a token."""
        return max(self.mean_gap, self.mean_difference or 0.0)

    @property
    def summary(self) -> str:
        """What was found, in one line."""
        told = (
            "it tells no log-probabilities"
            if self.mean_difference is None
            else f"log-probabilities differ by {self.mean_difference:.2g} nats on average"
        )
        return (
            f"on {self.num_prompts} prompts {self.num_likeliest} of {self.num_tokens} tokens are "
            f"the likeliest of the weights here, {self.mean_gap:.2g} nats short of it on average; "
            f"{told}"
        )


def compare_with_weights(
    model: LanguageModel, probes: Sequence[Probe], ends: Set[int]
) -> Agreement:
    """Compare what a server wrote with what a model makes of it, one prompt at a time.

    Args:
        model: a causal language model in eval mode.
        probes: at least one.
        ends: tokens that end a text.

    Raises:
        UserError: the server wrote a token that the model does not have.
    """
    gaps: list[Tensor] = []
    differences: list[Tensor] = []
    for probe in probes:
        written = list(probe.answer.token_ids)
        # A server may keep the token that ended the text to itself.
        end = [min(ends)] if probe.answer.has_ended and ends and not ends & {*written[-1:]} else []
        log_probabilities = _read(model, probe.prompt, [*written, *end])
        chosen = log_probabilities.gather(
            1,
            torch.tensor([*written, *end], dtype=torch.long, device=log_probabilities.device)[
                :, None
            ],
        )[:, 0]
        if end:
            chosen[-1] = log_probabilities[-1, sorted(ends)].max()
        gaps.append(log_probabilities.amax(dim=1) - chosen)
        if probe.answer.log_probabilities is not None:
            there = torch.tensor(probe.answer.log_probabilities, dtype=torch.float64)
            differences.append((there - chosen[: len(written)].double().cpu()).abs())
    gap = torch.cat(gaps).double().cpu()
    difference = torch.cat(differences) if differences else torch.zeros(0)
    return Agreement(
        num_prompts=len(probes),
        num_tokens=len(gap),
        num_likeliest=int((gap == 0).sum()),
        mean_gap=float(gap.mean()) if len(gap) else 0.0,
        largest_gap=float(gap.max()) if len(gap) else 0.0,
        mean_difference=float(difference.mean()) if len(difference) else None,
    )


def _read(model: LanguageModel, prompt: Sequence[int], written: Sequence[int]) -> Tensor:
    """Return the log-probabilities that each written token was chosen by, [tokens, vocabulary]."""
    rows = family_of_config(model.config).shape(model.config).vocab_size
    if beyond := [token for token in written if token >= rows]:
        raise UserError(
            f"the server wrote token {beyond[0]}; the model that is given has {rows}",
            where="served",
            hint="serve the weights of this job's model",
        )
    token_ids = torch.tensor([[*prompt, *written]], device=model.device)
    with torch.inference_mode():
        output = model(input_ids=token_ids, use_cache=False, logits_to_keep=len(written) + 1)
        logits: Tensor = output.logits
        return logits[0, :-1].float().log_softmax(dim=-1)
