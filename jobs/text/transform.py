"""Contract: a prompt transform, text in and text out; see `transforms/`.

A transform applies to each segment of a prompt by itself, so that the boundary between request and
answer stays where it was. `a+b` in a study applies a, then b.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from cluster.errors import UserError
from jobs.door import Door


class Scope(Enum):
    """The part of a prompt that a transform applies to."""

    EVERYTHING = "everything"
    """Requests and answers: the transform is a way of writing."""
    ASKED = "asked"
    """Requests alone (prompts and the user's turns), which get words around them."""


class Transform(Protocol):
    """The names a module in `transforms/` defines. Text without a word in it stays as it is."""

    SCOPE: Scope
    """The part of a prompt that it applies to."""

    def apply(self, text: str, seed: int) -> str:
        """Transform a text; equal text and seed give equal output."""

    def invert(self, text: str) -> str:
        """Undo the transform as far as possible; the rest of the text stays."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """One transform or several, applied from left to right."""

    parts: tuple[Transform, ...]
    """In the order of the name, at least one."""

    def apply(self, text: str, seed: int) -> str:
        """Transform a request through every part."""
        for part in self.parts:
            text = _text_of(part, part.apply(text, seed))
        return text

    def apply_to_answer(self, text: str, seed: int) -> str:
        """Transform an answer through the parts that are a way of writing."""
        for part in self.parts:
            if part.SCOPE is Scope.EVERYTHING:
                text = _text_of(part, part.apply(text, seed))
        return text

    def invert(self, text: str) -> str:
        """Undo every part, the last one first, as far as possible."""
        for part in reversed(self.parts):
            text = _text_of(part, part.invert(text))
        return text


def _text_of(part: Transform, made: object) -> str:
    """Return what a transform made. Raises UserError where it is no text that a file can hold."""
    try:
        if isinstance(made, str) and (made.isascii() or made.encode()):
            return made
        what = f"{type(made).__name__}, not a text"
    except UnicodeEncodeError:
        what = "half a character (a lone surrogate)"
    name = getattr(part, "__name__", type(part).__name__).rpartition(".")[2]
    raise UserError(f"a transform returns {what}", where=f"transform {name.replace('_', '-')}")


TRANSFORMS: Door[Transform] = Door("transform", "jobs.text.transforms", contract=Transform)


def load_transform(name: str) -> Chain:
    """Load the transform of this name, or of these names joined by `+`.

    Raises:
        UserError: no such transform; names those that exist and the nearest match.
    """
    parts = name.split("+")
    where = f"transform {name}" if len(parts) > 1 else None
    return Chain(parts=tuple(TRANSFORMS.find(part, where=where) for part in parts))
