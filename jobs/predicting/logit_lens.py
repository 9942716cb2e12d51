"""The logit lens: what each layer of a model would predict if it were the last.

nostalgebraist 2020, *interpreting GPT: the logit lens*, as in Lee et al. 2024, figure 1: the
residual stream through the model's own final norm and unembedding. The lens of a difference is not
the difference of lenses, so each model is read with its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64

from jobs.predicting.head import Head
from jobs.taps.activations import Inputs, read_activations
from jobs.tokens.batches import cut_batches, pad_batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position

if TYPE_CHECKING:
    from torch import Tensor

    from jobs.taps.taps import Place


@dataclass(frozen=True, kw_only=True, eq=False)
class LensReadings:
    """Probabilities that one model's layers give, a column per token that was read."""

    tokens: Int64[np.ndarray, " read"]
    """Tokens of the plan, ascending: each is what a prediction comes after."""
    toxic: Float64[np.ndarray, "places read"]
    """That the next token is of the toxic set."""
    following: Float64[np.ndarray, "places read"]
    """That the next token is the one that stands there; nothing to read at the end of a prompt."""


def read_lens(
    model: Any,
    plan: TokenPlan,
    *,
    positions: Sequence[Position],
    places: Sequence[Place],
    token_set: Sequence[int],
    token_budget: int,
    after_batch: Callable[[int], None] = lambda done: None,
) -> LensReadings:
    """Read every place at every position, each prompt forwarded once.

    Args:
        model: a causal language model in eval mode, or one state of a resident one.
        plan: the tokens.
        positions: where to read.
        places: sites of the residual stream, with their layers.
        token_set: ids whose probability is summed.
        token_budget: most tokens forwarded together, padding included.
        after_batch: told how many prompts are done.
    """
    tokens = np.flatnonzero(np.logical_or.reduce([each.tokens for each in positions]))
    found = LensReadings(
        tokens=tokens,
        toxic=np.full((len(places), len(tokens)), np.nan),
        following=np.full((len(places), len(tokens)), np.nan),
    )
    head, done = Head(model), 0
    for members in cut_batches(plan, np.arange(len(plan.prompts)), token_budget):
        batch = pad_batch(plan, members, positions)
        if len(batch.gathered):
            rows = read_activations(model, Inputs(batch, model.device), places)
            columns = np.searchsorted(tokens, batch.tokens)
            following = plan.token_ids[np.minimum(batch.tokens + 1, len(plan.token_ids) - 1)]
            stacked = _stacked(rows, places)
            toxic, next_one = _read(head, stacked, token_set, np.tile(following, len(places)))
            found.toxic[:, columns] = toxic.reshape(len(places), -1)
            found.following[:, columns] = next_one.reshape(len(places), -1)
        done += len(members)
        after_batch(done)
    return found


def _stacked(rows: dict[Place, Tensor], places: Sequence[Place]) -> Tensor:
    """Rows of all places, one place after the other; a spread model has them on many devices."""
    import torch

    first = rows[places[0]].device
    return torch.cat([rows.pop(place).to(first) for place in places])


def _read(
    head: Head, rows: Tensor, token_set: Sequence[int], following: np.ndarray
) -> tuple[Float64[np.ndarray, " rows"], Float64[np.ndarray, " rows"]]:
    """Of each row the probability of the set, and that of one token."""
    import torch

    chosen = list(token_set)
    mass, own = np.zeros(len(rows)), np.zeros(len(rows))
    for part in head.parts(len(rows)):
        probabilities = head.logits(rows[part]).softmax(dim=-1)
        wanted = torch.from_numpy(following[part].astype(np.int64)).to(probabilities.device)
        mass[part] = probabilities[:, chosen].double().sum(dim=1).cpu().numpy()
        own[part] = probabilities.gather(1, wanted[:, None])[:, 0].double().cpu().numpy()
    return mass, own
