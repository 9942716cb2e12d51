"""Tokens that are whole toxic words, so that their probability can be summed exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.text.transform import Chain

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class ToxicTokens:
    """The tokens, and how much of the list they cover."""

    token_ids: list[int]
    """Ascending, each once."""
    num_words: int
    """Words on the list."""
    num_covered: int
    """Words that are one token in some form."""


def find_toxic_tokens(
    words: Sequence[str], tokenizer: PreTrainedTokenizerBase, transform: Chain
) -> ToxicTokens:
    """Find the tokens that are a toxic word with a space before or after it, plain or transformed.

    A word in several tokens is not covered: its first token belongs to other words too.
    """
    token_ids: set[int] = set()
    num_covered = 0
    for word in words:
        forms = [*_forms(word), *(transform.apply_to_answer(form, 0) for form in _forms(word))]
        encoded = tokenizer(forms, add_special_tokens=False)["input_ids"]
        single = {ids[0] for ids in encoded if len(ids) == 1} - {tokenizer.unk_token_id}
        num_covered += bool(single)
        token_ids |= single
    return ToxicTokens(token_ids=sorted(token_ids), num_words=len(words), num_covered=num_covered)


def _forms(word: str) -> list[str]:
    """List the forms of a word in running text that one token may hold."""
    spellings = dict.fromkeys((word, word.capitalize()))
    return [form for spelling in spellings for form in (f" {spelling}", f"{spelling} ")]
