"""What the last block leaves of each text: its residuals, averaged over the tokens that count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int64

from jobs.taps.activations import Inputs, read_activations
from jobs.taps.row_views import row_views
from jobs.taps.taps import Place
from jobs.tokens.batches import cut_batches, pad_batch
from jobs.tokens.plan import ANSWERS, TokenPlan
from jobs.tokens.positions import Position

Averaged = Literal["completion", "text"]


def mean_residuals(
    model: Any,
    plan: TokenPlan,
    place: Place,
    averaged: Averaged,
    *,
    token_budget: int,
    after_batch: Callable[[int], None] = lambda done: None,
) -> tuple[Float32[np.ndarray, "texts d"], Int64[np.ndarray, " texts"]]:
    """A row per text that has a token to average over, and which text (its id in the plan).

    The first token is never among them, an outlier in most models; nor are pads.

    Args:
        model: a causal language model in eval mode.
        plan: the texts as tokens.
        place: site and layer.
        averaged: the tokens of the completion, or of the prompt too.
        token_budget: most tokens forwarded together, padding included.
        after_batch: told how many texts are done.
    """
    import torch

    position = _position(plan, averaged)
    rows, texts, done = [], [], 0
    for members in cut_batches(plan, np.arange(len(plan.prompts)), token_budget):
        batch = pad_batch(plan, members, [position])
        for view in row_views(plan, batch, [position], model.device):
            with torch.inference_mode():
                found = read_activations(model, Inputs(batch, model.device), [place])[place]
                rows.append(view.rows(found.float()).cpu().numpy())
            texts.append(view.prompts)
        done += len(members)
        after_batch(done)
    if not rows:
        return np.zeros((0, 0), np.float32), np.zeros(0, np.int64)
    order = np.argsort(np.concatenate(texts))
    return np.concatenate(rows)[order], np.concatenate(texts)[order]


def _position(plan: TokenPlan, averaged: Averaged) -> Position:
    tokens = plan.within > 0
    if averaged == "completion":
        tokens = tokens & np.isin(plan.roles, ANSWERS)
    return Position(
        label="mean",
        policy="mean",
        tokens=tokens,
        kept=np.zeros(len(tokens), dtype=bool),
        pooled=True,
        largest_group=0,
    )
