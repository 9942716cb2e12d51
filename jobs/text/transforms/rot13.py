"""ROT13: every letter moves thirteen places; everything else, spaces included, stays.

Wei et al. 2023 (arXiv 2307.02483), mismatched generalization. Needs the decode control.
"""

import codecs

from jobs.text.transform import Scope

SCOPE = Scope.EVERYTHING


def apply(text: str, seed: int) -> str:
    """Encode the text in ROT13; encoding twice gives the text back."""
    return codecs.encode(text, "rot13")


def invert(text: str) -> str:
    """Decode the text from ROT13."""
    return codecs.decode(text, "rot13")
