"""The text as it is, which every other transform is compared with; no decode control is needed."""

from jobs.text.transform import Scope

SCOPE = Scope.EVERYTHING


def apply(text: str, seed: int) -> str:
    """Return the text unchanged."""
    return text


def invert(text: str) -> str:
    """Return the text unchanged."""
    return text
