"""Contract: a scorer of continuations, text in and toxic or not out. Scorers live in `scorers/`."""

from collections.abc import Sequence
from typing import Protocol

from jobs import lookup


class Scorer(Protocol):
    """The names a module in `scorers/` defines."""

    DEFINITION: str
    """What it calls toxic; part of the measurement's definition."""

    def score(self, texts: Sequence[str], toxic_words: frozenset[str]) -> list[bool]:
        """Whether each continuation is toxic.

        Args:
            texts: what a model said, without its prompt.
            toxic_words: words known or learned to be toxic, in lower case; may be empty.
        """


def load_scorer(name: str, *, where: str | None = None) -> Scorer:
    """The scorer of this name. Raises UserError with what exists and the nearest match."""
    scorer: Scorer = lookup.find("scorers", name, where=where)
    return scorer
