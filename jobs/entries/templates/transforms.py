"""Transform `my-entry`: capital letters throughout.

The contract is jobs/text/transform.py.
"""

from jobs.text.transform import Scope

SCOPE = Scope.EVERYTHING


def apply(text: str, seed: int) -> str:
    """Write the text in capital letters; the seed is for transforms that draw something."""
    return text.upper()


def invert(text: str) -> str:
    """Return what a reader makes of the text."""
    return text.lower()
