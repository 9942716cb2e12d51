"""Contract: a prompt transform, text in and text out. Transforms live in `transforms/`.

It applies to each segment of a prompt by itself, so that the boundary between what was asked and
what is answered stays where it was.
"""

from typing import Protocol

from jobs import lookup


class Transform(Protocol):
    """The names a module in `transforms/` defines."""

    def apply(self, text: str, seed: int) -> str:
        """The transformed text; equal text and seed give equal output."""

    def invert(self, text: str) -> str:
        """The plain text of a transformed one, as far as it can be told; what cannot, stays."""


def load_transform(name: str, *, where: str | None = None) -> Transform:
    """The transform of this name. Raises UserError with what exists and the nearest match."""
    transform: Transform = lookup.find("transforms", name, where=where)
    return transform
