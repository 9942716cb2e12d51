"""Packs documents into the fixed-length rows that a model is pretrained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from cluster.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_STREAM = 1
"""Keeps the order of documents apart from the order of rows, which has the same seed."""


def packed_rows(
    documents: Sequence[str], tokenizer: PreTrainedTokenizerBase, sequence_length: int, seed: int
) -> Int64[np.ndarray, "rows sequence"]:
    """Return token ids of the documents in a seeded order, each ended by EOS, cut into rows.

    Tokens that do not fill the last row are left out.

    Raises:
        UserError: there are fewer tokens than one row, or the tokenizer has no EOS.
    """
    if tokenizer.eos_token_id is None:
        raise UserError("the tokenizer has no end-of-text token to join documents with")
    ids = tokenizer(list(documents), add_special_tokens=False)["input_ids"]
    order = np.random.default_rng([seed, _STREAM]).permutation(len(ids))
    joined = [token for place in order for token in (*ids[place], tokenizer.eos_token_id)]
    num_rows = len(joined) // sequence_length
    if not num_rows:
        raise UserError(
            f"the documents have {len(joined)} tokens, fewer than one sequence "
            f"of {sequence_length}",
            where="sequence_length",
        )
    return np.array(joined[: num_rows * sequence_length]).reshape(num_rows, sequence_length)
