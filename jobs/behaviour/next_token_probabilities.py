"""Next-token probabilities of a model at tokens of a plan: the mass of a set, and of what came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64

from jobs.models.language_model import LanguageModel
from jobs.taps.activations import Inputs
from jobs.tokens.batches import cut_batches, pad_batch
from jobs.tokens.plan import TokenPlan


@dataclass(frozen=True, kw_only=True, eq=False)
class NextTokenProbabilities:
    """One number per token of a plan; NaN at tokens that are not wanted."""

    mass: Float64[np.ndarray, " tokens"]
    """Probability, after this token, that the next one is in the set."""
    log_probability: Float64[np.ndarray, " tokens"]
    """Log-probability of this token, given all before it, in nats."""


def read_next_token_probabilities(
    model: LanguageModel,
    plan: TokenPlan,
    *,
    token_set: Sequence[int],
    mass_after: Bool[np.ndarray, " tokens"],
    scored: Bool[np.ndarray, " tokens"],
    token_budget: int,
    after_batch: Callable[[int], None] = lambda done: None,
) -> NextTokenProbabilities:
    """Forward every prompt once. Softmax in fp32; only the wanted rows leave the logits.

    Args:
        model: a causal language model in eval mode.
        plan: the tokens.
        token_set: ids whose probability is summed.
        mass_after: tokens after which the mass of the set is wanted.
        scored: tokens whose own log-probability is wanted; a prompt's first has none.
        token_budget: most tokens forwarded together, padding included.
        after_batch: called with the number of prompts done.
    """
    mass = np.full(len(plan.token_ids), np.nan)
    log_probability = np.full(len(plan.token_ids), np.nan)
    scored = scored & (plan.within > 0)
    wanted = mass_after | np.append(scored[1:], False)  # a token is predicted by the one before it
    done = 0
    for members in cut_batches(plan, np.arange(len(plan.prompts)), token_budget):
        batch = pad_batch(plan, members, [])
        real = batch.attention_mask.astype(bool)
        source = (plan.offsets[members][:, None] + np.arange(real.shape[1]))[real]
        real[real] = wanted[source]
        places = source[wanted[source]]
        inputs = Inputs(batch, model.device)
        with torch.inference_mode():
            logits = model(
                input_ids=inputs.token_ids,
                attention_mask=inputs.attention_mask,
                position_ids=inputs.position_ids,
                use_cache=False,
            ).logits
            rows = logits[torch.from_numpy(real).to(logits.device)].float().log_softmax(dim=-1)
            rows = rows.cpu()
        mass[places] = rows[:, list(token_set)].double().exp().sum(dim=1).numpy()
        following = np.minimum(places + 1, len(plan.token_ids) - 1)
        next_ids = torch.from_numpy(plan.token_ids[following].astype(np.int64))
        log_probability[following] = rows.gather(1, next_ids[:, None])[:, 0].double().numpy()
        done += len(members)
        after_batch(done)
    mass[~mass_after] = np.nan
    log_probability[~scored] = np.nan
    return NextTokenProbabilities(mass=mass, log_probability=log_probability)
