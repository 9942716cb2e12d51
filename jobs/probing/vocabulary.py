"""What directions of the residual stream write: the tokens whose embeddings lie along them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def read_out(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    directions: Float[np.ndarray, "k d"],
    num_tokens: int,
) -> Sequence[Sequence[str]]:
    """Of each direction v, the tokens with the largest entries of E v, E the unembedding."""
    import torch

    with torch.inference_mode():
        embedding = model.get_output_embeddings().weight
        wanted = torch.from_numpy(np.ascontiguousarray(directions, dtype=np.float32))
        written = embedding.float() @ wanted.to(embedding.device).T
        known = min(len(tokenizer), len(written))  # embeddings are often padded to a round number
        top = written[:known].topk(min(num_tokens, known), dim=0).indices.T.tolist()
    return [tokenizer.convert_ids_to_tokens(ids) for ids in top]
