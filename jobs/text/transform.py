"""Contract: a prompt transform, text in and text out. Transforms live in `transforms/`.

It applies to each segment of a prompt by itself, so that the boundary between what was asked and
what is answered stays where it was. `a+b` in a study is b of what a makes.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from jobs import lookup


class Scope(Enum):
    """What of a prompt a transform is for."""

    EVERYTHING = "everything"
    """A way of writing: questions and answers alike."""
    ASKED = "asked"
    """Words around a request: prompts and the user's turns. Answers stay as they are."""


class Transform(Protocol):
    """The names a module in `transforms/` defines. Text without a word in it stays as it is."""

    SCOPE: Scope
    """What it applies to."""

    def apply(self, text: str, seed: int) -> str:
        """The transformed text; equal text and seed give equal output."""

    def invert(self, text: str) -> str:
        """The plain text of a transformed one, as far as it can be told; what cannot, stays."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """One transform or several, applied from left to right."""

    parts: tuple[Transform, ...]
    """In the order of the name, at least one."""

    def apply(self, text: str, seed: int) -> str:
        """What is asked, through every part."""
        for part in self.parts:
            text = part.apply(text, seed)
        return text

    def apply_to_answer(self, text: str, seed: int) -> str:
        """An answer, through the parts that are a way of writing."""
        for part in self.parts:
            text = part.apply(text, seed) if part.SCOPE is Scope.EVERYTHING else text
        return text

    def invert(self, text: str) -> str:
        """Every part undone, the last one first, as far as each can be."""
        for part in reversed(self.parts):
            text = part.invert(text)
        return text


def load_transform(name: str, *, where: str | None = None) -> Chain:
    """The transform of this name, or of these names joined by `+`.

    Raises UserError with what exists and the nearest match of the first wrong part.
    """
    parts = name.split("+")
    if where is None and len(parts) > 1:
        where = f"transform {name}"
    return Chain(parts=tuple(lookup.find("transforms", part, where=where) for part in parts))
