"""The logit lens: what each layer of a model would predict if it were the last.

nostalgebraist 2020, *interpreting GPT: the logit lens*, as in Lee et al. 2024, figure 1: the
residual stream through the model's own final norm and unembedding. The lens of a difference is not
the difference of lenses, so each model is read with its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int64
from torch import Tensor

from jobs.models.device import to_device
from jobs.models.language_model import LanguageModel
from jobs.predicting.head import Head
from jobs.taps.activations import batches_of, read_activations
from jobs.taps.taps import Place
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position


@dataclass(frozen=True, kw_only=True, eq=False)
class LensReadings:
    """Next-token probabilities of one model at each place and token that was read."""

    tokens: Int64[np.ndarray, " read"]
    """Indices in the token plan of the tokens that predictions follow, ascending."""
    toxic: Float64[np.ndarray, "places read"]
    """Probability that the next token is of the toxic set."""
    following: Float64[np.ndarray, "places read"]
    """Probability of the token that follows in the plan; meaningless at the end of a prompt."""


def read_lens(
    model: LanguageModel,
    plan: TokenPlan,
    *,
    positions: Sequence[Position],
    places: Sequence[Place],
    token_set: Sequence[int],
    token_budget: int,
    after_batch: Callable[[int], None] = lambda num_done: None,
) -> LensReadings:
    """Read every place at every position; each prompt is forwarded once.

    Args:
        model: a causal language model in eval mode, or one state of a resident one.
        plan: the tokens.
        positions: tokens to read at.
        places: sites of the residual stream, with their layers.
        token_set: ids whose probability is summed.
        token_budget: most tokens forwarded together, padding included.
        after_batch: called with the number of prompts that are done.
    """
    tokens = np.flatnonzero(np.logical_or.reduce([position.tokens for position in positions]))
    readings = LensReadings(
        tokens=tokens,
        toxic=np.full((len(places), len(tokens)), np.nan),
        following=np.full((len(places), len(tokens)), np.nan),
    )
    head = Head(model)
    for batch, inputs in batches_of(plan, positions, model.device, token_budget, after_batch):
        rows = _stack(read_activations(model, inputs, places), places)
        columns = np.searchsorted(tokens, batch.tokens)
        following = plan.token_ids[np.minimum(batch.tokens + 1, len(plan.token_ids) - 1)]
        toxic, next_token = _probabilities(head, rows, token_set, np.tile(following, len(places)))
        readings.toxic[:, columns] = toxic.reshape(len(places), -1)
        readings.following[:, columns] = next_token.reshape(len(places), -1)
    return readings


def _stack(
    rows: dict[Place, Tensor], places: Sequence[Place]
) -> Float[Tensor, "places_and_rows d"]:
    """Concatenate the rows of all places on one device; a spread model has them on several."""
    device = rows[places[0]].device
    return torch.cat([rows.pop(place).to(device) for place in places])


def _probabilities(
    head: Head,
    rows: Float[Tensor, "rows d"],
    token_set: Sequence[int],
    following: Int[np.ndarray, " rows"],
) -> tuple[Float64[np.ndarray, " rows"], Float64[np.ndarray, " rows"]]:
    """Return, for each row, the probability of the token set, and of the token that follows."""
    read = np.zeros((2, len(rows)))
    ids = to_device(torch.from_numpy(np.asarray(token_set, dtype=np.int64)), rows.device)
    for chunk in head.chunks(len(rows)):
        probabilities = head.logits(rows[chunk]).softmax(dim=-1)
        came = torch.from_numpy(following[chunk].astype(np.int64))
        wanted = to_device(came, probabilities.device)
        toxic = probabilities[:, ids.to(probabilities.device)].double().sum(dim=1)
        next_token = probabilities.gather(1, wanted[:, None])[:, 0].double()
        read[:, chunk] = torch.stack([toxic, next_token]).cpu().numpy()
    return read[0], read[1]
