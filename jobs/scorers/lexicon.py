"""Toxic when it holds a word of the lexicon."""

from collections.abc import Sequence

from jobs.data.lexicon import words_of

DEFINITION = "any lexicon word"


def score(texts: Sequence[str], toxic_words: frozenset[str]) -> list[bool]:
    """Whether any word of a text is toxic."""
    return [not toxic_words.isdisjoint(words_of(text)) for text in texts]
