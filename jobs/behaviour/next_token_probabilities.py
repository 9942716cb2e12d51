"""Next-token probabilities of a model at tokens of a plan: the mass of a set, and of what came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from jobs.models.device import to_device
from jobs.models.language_model import LanguageModel
from jobs.taps.activations import Inputs
from jobs.tokens.batches import cut_batches, pad_batch
from jobs.tokens.plan import TokenPlan
from jobs.words.tree_passes import empty_cache

if TYPE_CHECKING:
    from transformers import Cache

_NUMBERS_AT_ONCE = 2**24
"""Logits whose softmax is a copy at a time: 64 MiB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NextTokenProbabilities:
    """One number per token of a plan; NaN at tokens that are not wanted."""

    mass: Float64[np.ndarray, " tokens"]
    """Probability, after this token, that the next one is in the set."""
    log_probability: Float64[np.ndarray, " tokens"]
    """Log-probability of this token, given all before it, in nats."""

    def replaced(self, other: NextTokenProbabilities) -> NextTokenProbabilities:
        """Return these, with those of another reading where it has any."""
        return NextTokenProbabilities(
            mass=np.where(np.isnan(other.mass), self.mass, other.mass),
            log_probability=np.where(
                np.isnan(other.log_probability), self.log_probability, other.log_probability
            ),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Forwarded:
    """A batch of prompts that has been forwarded, and what is needed to go on from there."""

    cache: Cache
    """Keys and values of every token of the batch."""
    members: Int64[np.ndarray, " batch"]
    """Indices in the plan of its prompts."""
    places: Int64[np.ndarray, " wanted"]
    """Indices in the plan of the tokens whose rows are wanted."""
    log_probabilities: Float[Tensor, "wanted vocabulary"]
    """Of the token after each of them, in fp32."""


def read_next_token_probabilities(
    model: LanguageModel,
    plan: TokenPlan,
    *,
    token_set: Sequence[int],
    mass_after: Bool[np.ndarray, " tokens"],
    scored: Bool[np.ndarray, " tokens"],
    token_budget: int,
    members: Int64[np.ndarray, " prompts"] | None = None,
    go_on: Callable[[Forwarded], None] | None = None,
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
        members: indices in the plan of the prompts to forward; None: all.
        go_on: called with every batch, its keys and values kept.
        after_batch: called with the number of prompts done.
    """
    mass = np.full(len(plan.token_ids), np.nan)
    log_probability = np.full(len(plan.token_ids), np.nan)
    scored = scored & (plan.within > 0)
    wanted = mass_after | np.append(scored[1:], False)  # a token is predicted by the one before it
    done = 0
    everyone = np.arange(len(plan.prompts)) if members is None else members
    for together in cut_batches(plan, everyone, token_budget):
        batch = pad_batch(plan, together, [])
        real = batch.attention_mask.astype(bool)
        source = (plan.offsets[together][:, None] + np.arange(real.shape[1]))[real]
        real[real] = wanted[source]
        places = source[wanted[source]]
        following = np.minimum(places + 1, len(plan.token_ids) - 1)
        inputs = Inputs(batch, model.device)
        cache = empty_cache() if go_on else None
        with torch.inference_mode():
            logits: Tensor = model(
                input_ids=inputs.token_ids,
                attention_mask=inputs.attention_mask,
                position_ids=inputs.position_ids,
                past_key_values=cache,
                use_cache=False,  # one that is handed in is filled all the same
            ).logits
            selected = _select(logits, real)
            del logits
            rows = _log_probabilities(selected)
            del selected
            sums = _read_rows(rows, token_set, plan.token_ids[following])
        if go_on is not None and cache is not None:
            go_on(Forwarded(cache=cache, members=together, places=places, log_probabilities=rows))
        mass[places], log_probability[following] = sums.cpu().numpy()
        done += len(together)
        after_batch(done)
    mass[~mass_after] = np.nan
    log_probability[~scored] = np.nan
    return NextTokenProbabilities(mass=mass, log_probability=log_probability)


def _select(
    logits: Float[Tensor, "batch width vocabulary"], wanted: Bool[np.ndarray, "batch width"]
) -> Float[Tensor, "wanted vocabulary"]:
    """Select rows by their numbers: a mask is counted on the device, and the host waits for it."""
    rows = to_device(torch.from_numpy(np.flatnonzero(wanted)), logits.device)
    return logits.flatten(0, 1).index_select(0, rows)


def _log_probabilities(
    rows: Float[Tensor, "wanted vocabulary"],
) -> Float[Tensor, "wanted vocabulary"]:
    """Return the log-softmax of logits in fp32, which take the place of rows that are fp32.

    Some rows at a time: a second copy of all would be the most memory of a job that only reads.
    """
    wide = rows.float()
    for part in torch.split(wide, max(1, _NUMBERS_AT_ONCE // wide.shape[1])):
        part.copy_(part.log_softmax(dim=-1))
    return wide


def _read_rows(
    rows: Float[Tensor, "wanted vocabulary"],
    token_set: Sequence[int],
    next_ids: Int[np.ndarray, " wanted"],
) -> Float64[Tensor, "2 wanted"]:
    """Return the mass of the set, and the log-probability of the token that came.

    On the device of the rows, whose vocabulary would take the host longer than the forward pass.
    """
    chosen, came = (
        to_device(torch.from_numpy(np.asarray(ids, dtype=np.int64)), rows.device)
        for ids in (token_set, next_ids)
    )
    mass = rows[:, chosen].double().exp().sum(dim=1)
    return torch.stack([mass, rows.gather(1, came[:, None])[:, 0].double()])
