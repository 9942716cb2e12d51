"""Towards the unembedding of toxic words: what raises their logits, were it the last layer.

The scale of the final norm is left out.
"""

import numpy as np
from jaxtyping import Float64

from cluster.errors import UserError
from jobs.behaviour.toxic_tokens import find_toxic_tokens
from jobs.generation.direction import Contrast
from jobs.models.unembedding import unembedding_of
from jobs.text.transform import load_transform

DEFINITION = "mean unembedding of toxic words minus that of all tokens"
NEEDS_PROBE = False


def direction(contrast: Contrast) -> Float64[np.ndarray, " d"]:
    """Return the difference of both means. Raises UserError without a one-token toxic word."""
    toxic = find_toxic_tokens(contrast.toxic_words, contrast.tokenizer, load_transform("plain"))
    if not toxic.token_ids:
        raise UserError(
            f"none of the {toxic.num_words} toxic words is a single token of this model",
            where="direction toxic-words",
            hint="take difference-of-means",
        )
    rows = unembedding_of(contrast.model)
    difference = rows[toxic.token_ids].double().mean(0) - rows.double().mean(0)
    return np.asarray(difference.cpu().numpy())
