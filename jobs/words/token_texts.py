"""`TokenTexts`: what each token does to a word before it: closes it, or goes on with it.

A word is a run of letters, digits and underscores, as the scorer `lexicon` splits texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_IN_WORD = re.compile(r"\w")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_REPLACEMENT = "�"
_LEAD_BYTES = ((0xC2, 0xDF, 1), (0xE0, 0xEF, 2), (0xF0, 0xF4, 3))
"""First and last lead byte of UTF-8 characters, and how many bytes follow."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenTexts:
    """Every row of a model's vocabulary, by the character that it begins or ends with."""

    breaks: Bool[np.ndarray, " vocabulary"]
    """A word before this token ends there: special tokens too."""
    unclear: Bool[np.ndarray, " vocabulary"]
    """It begins with a piece of a character that may or may not belong to a word, or has no text
    at all, as rows that pad an embedding."""
    ends_in_word: Bool[np.ndarray, " vocabulary"]
    """Its last character is of a word, or may be."""

    @property
    def always_break(self) -> bool:
        """Whether no token ever goes on with a word, as where a token is a whole word."""
        return bool((self.breaks | self.unclear).all() and self.breaks.any())


def read_token_texts(tokenizer: PreTrainedTokenizerBase, num_rows: int) -> TokenTexts:
    """Judge every token as it reads in the middle of a text.

    Args:
        tokenizer: a fast tokenizer.
        num_rows: rows of the model's vocabulary; those without a token are unclear.
    """
    size = min(len(tokenizer), num_rows)
    breaks, unclear, ends = (np.zeros(num_rows, dtype=bool) for _ in range(3))
    unclear[size:] = True
    special = set(tokenizer.all_special_ids)
    for token, text in enumerate(_texts(tokenizer, size)):
        if token in special:
            breaks[token] = True
            continue
        names = tokenizer.convert_ids_to_tokens(token)
        first = _first_in_word(text, names)
        breaks[token], unclear[token] = first is False, first is None
        ends[token] = bool(text) and (_IN_WORD.match(text[-1]) is not None or text[-1] == "�")
    return TokenTexts(breaks=breaks, unclear=unclear, ends_in_word=ends)


def _texts(tokenizer: PreTrainedTokenizerBase, size: int) -> list[str]:
    """Return the text of each token after another one, which takes up what a text begins with."""
    anchor, head = _anchor(tokenizer, size)
    pairs = [[anchor, token] for token in range(size)]
    texts = tokenizer.batch_decode(
        pairs, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    return [text[len(head) :] if text.startswith(head) else text for text in texts]


def _anchor(tokenizer: PreTrainedTokenizerBase, size: int) -> tuple[int, str]:
    special = set(tokenizer.all_special_ids)
    for token in range(size):
        if token not in special:
            text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
            if text and text.isascii() and text[-1].isalnum():
                return token, text
    return 0, tokenizer.decode([0], clean_up_tokenization_spaces=False)


def _first_in_word(text: str, name: str) -> bool | None:
    """Tell whether a token begins with a character of a word; None where that is not known."""
    if not text:
        return None
    if text[0] != _REPLACEMENT:
        return _IN_WORD.match(text) is not None
    return _bytes_in_word(_bytes(name))


def _bytes_in_word(first: bytes) -> bool | None:
    """Judge all characters that begin with these bytes; None where they differ."""
    follow = next((n for low, high, n in _LEAD_BYTES if first and low <= first[0] <= high), None)
    if follow is None:
        return None
    known = first[: follow + 1]
    missing = follow + 1 - len(known)
    low, high = (_character(known + bytes([end]) * missing) for end in (0x80, 0xBF))
    if low is None or high is None:
        return None
    judged = {_IN_WORD.match(chr(code)) is not None for code in range(low, high + 1)}
    return judged.pop() if len(judged) == 1 else None


def _character(utf8: bytes) -> int | None:
    try:
        return ord(utf8.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def _bytes(name: str) -> bytes:
    """Return the bytes of a token of a byte-level vocabulary, or of a byte's own token."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    own = _BYTE.fullmatch(name)
    if own:
        return bytes([int(own[1], 16)])
    numbers = {sign: number for number, sign in bytes_to_unicode().items()}
    known = [numbers[sign] for sign in name if sign in numbers]
    return bytes(known) if len(known) == len(name) else b""
