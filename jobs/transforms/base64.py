"""Base64 of the text's UTF-8 bytes, in the standard alphabet with padding."""

from base64 import b64encode


def apply(text: str, seed: int) -> str:
    """The text in Base64.

    Segments of 3n bytes join to the encoding of the whole; others end in `=` each for itself.
    """
    return b64encode(text.encode("utf-8")).decode("ascii")
