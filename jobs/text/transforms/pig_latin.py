"""Pig Latin: the consonants a word begins with go behind it, and `ay` after them.

Named by Wei et al. 2023 (arXiv 2307.02483) without a template of their own; mismatched
generalization. Written with the hyphen that marks the cut (`ello-hay`), so that it can always be
undone. Needs the decode control.
"""

import re

from jobs.text.transform import Scope

SCOPE = Scope.EVERYTHING

_WORD = re.compile(r"(qu|[^aeiou\W\d_](?:qu|[^aeiouy\W\d_])*)?([a-z]+)", re.IGNORECASE | re.ASCII)
_WRITTEN = re.compile(r"([A-Za-z]+)-([A-Za-z]*?)ay(?![A-Za-z])")


def apply(text: str, seed: int) -> str:
    """Write every word of ASCII letters in Pig Latin; letters keep their case."""
    return _WORD.sub(lambda word: f"{word[2]}-{word[1] or ''}ay", text)


def invert(text: str) -> str:
    """Put the letters between a hyphen and `ay` before those in front of the hyphen."""
    return _WRITTEN.sub(lambda word: word[2] + word[1], text)
