"""The text as it is: what every other transform is held against. No decode control is needed."""

from jobs.text.transform import Scope

SCOPE = Scope.EVERYTHING


def apply(text: str, seed: int) -> str:
    """The text, unchanged."""
    return text


def invert(text: str) -> str:
    """The text, unchanged."""
    return text
