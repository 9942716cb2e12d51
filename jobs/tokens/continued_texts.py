"""The text that tokens add behind other tokens.

Decoded alone, a continuation begins as if a text began there: SentencePiece takes away its first
blank, and a tokenizer of whole words writes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonprefix
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def texts_behind(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
) -> list[str]:
    """Decode continuations behind their prompts, without special tokens.

    A character whose bytes began in the prompt belongs to the continuation that ends it.

    Args:
        tokenizer: of both.
        prompts: token ids of each prompt.
        continuations: token ids behind each prompt.
    """
    before, whole = (
        tokenizer.batch_decode(rows, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        for rows in (
            [list(prompt) for prompt in prompts],
            [[*prompt, *ids] for prompt, ids in zip(prompts, continuations, strict=True)],
        )
    )
    return [
        text[len(commonprefix([start, text])) :] for start, text in zip(before, whole, strict=True)
    ]
