"""Which single tokens stand for toxic words, so that their probability can be summed exactly."""

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
    words: Sequence[str], tokenizer: "PreTrainedTokenizerBase", transform: Chain
) -> ToxicTokens:
    """Tokens that are a whole toxic word with a space before or after it, plain or transformed.

    A word in several tokens is not covered: its first token belongs to other words too.
    """
    found: set[int] = set()
    num_covered = 0
    for word in words:
        forms = [*_forms(word), *(transform.apply_to_answer(form, 0) for form in _forms(word))]
        encoded = tokenizer(forms, add_special_tokens=False)["input_ids"]
        single = {ids[0] for ids in encoded if len(ids) == 1} - {tokenizer.unk_token_id}
        num_covered += bool(single)
        found |= single
    return ToxicTokens(token_ids=sorted(found), num_words=len(words), num_covered=num_covered)


def _forms(word: str) -> list[str]:
    """How a word stands in running text as one token may hold it."""
    written = dict.fromkeys((word, word.capitalize()))
    return [form for each in written for form in (f" {each}", f"{each} ")]
