"""Base64 of the text's UTF-8 bytes, in the standard alphabet with padding.

Wei et al. 2023 (arXiv 2307.02483), mismatched generalization. Needs the decode control.
"""

import re
from base64 import b64decode, b64encode

from jobs.text.transform import Scope

SCOPE = Scope.EVERYTHING

_BLOCKS = re.compile(
    r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"
)


def apply(text: str, seed: int) -> str:
    """Encode the text in Base64.

    Segments of 3n bytes join to the encoding of the whole; others end in `=`.
    """
    return b64encode(text.encode("utf-8")).decode("ascii")


def invert(text: str) -> str:
    """Decode every run of whole blocks; bytes that are no UTF-8 become replacement characters."""
    return _BLOCKS.sub(lambda run: b64decode(run[0]).decode("utf-8", "replace"), text)
