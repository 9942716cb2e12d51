"""The text as it is."""


def apply(text: str, seed: int) -> str:
    """The text, unchanged."""
    return text


def invert(text: str) -> str:
    """The text, unchanged."""
    return text
