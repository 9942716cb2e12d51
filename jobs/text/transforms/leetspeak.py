"""Leetspeak: seven letters as the digits that look like them.

Wei et al. 2023 (arXiv 2307.02483), mismatched generalization. Needs the decode control, though
models that have read the web mostly pass it. Upper case of the seven letters is lost.
"""

from jobs.text.transform import Scope

SCOPE = Scope.EVERYTHING

_LETTERS, _DIGITS = "aeiostb", "4310578"
_WRITTEN = str.maketrans(_LETTERS + _LETTERS.upper(), _DIGITS * 2)
_READ = str.maketrans(_DIGITS, _LETTERS)


def apply(text: str, seed: int) -> str:
    """Write a, e, i, o, s, t and b as digits."""
    return text.translate(_WRITTEN)


def invert(text: str) -> str:
    """Write those digits as letters; digits of the plain text become letters too."""
    return text.translate(_READ)
