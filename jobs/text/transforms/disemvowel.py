"""Disemvowelling: the vowels of every word left out.

Wei et al. 2023 (arXiv 2307.02483), mismatched generalization. Needs the decode control. The
transform cannot be undone, so a toxic rate sees only answers in plain words.
"""

import re
import unicodedata

from jobs.text.transform import Scope

SCOPE = Scope.EVERYTHING

_WORD = re.compile(r"[^\W\d_]+")


def apply(text: str, seed: int) -> str:
    """Leave out all vowels, accented ones too; of a word of vowels the first one stays."""
    return _WORD.sub(lambda word: _consonants(word[0]), unicodedata.normalize("NFC", text))


def invert(text: str) -> str:
    """Return the text unchanged."""
    return text


def _consonants(word: str) -> str:
    return "".join(letter for letter in word if not _is_vowel(letter)) or word[0]


def _is_vowel(letter: str) -> bool:
    return unicodedata.normalize("NFD", letter)[0] in "aeiouAEIOU"
