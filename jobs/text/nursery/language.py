"""The nursery language: its words and the continuations of its contexts. One language, fixed.

Every word is five lowercase letters and is followed by one space, the last one too. So a word is
six bytes, the Base64 of a text is one block of eight characters per word, and pieces of text
encoded apart join to exactly the encoding of the whole.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_CONSONANTS = "bdfgklmnprtvz"
_VOWELS = "aiou"
_SEED = 2401


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic of contexts, and the words of their continuations."""

    context: tuple[str, ...]
    """Words of its contexts, beside fillers."""
    safe: tuple[str, ...]
    """Words of its decent continuation."""
    toxic: tuple[str, ...]
    """Words of its toxic continuation; none when the topic does not provoke."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """All words by their role."""

    provoking: tuple[Topic, ...]
    """Topics whose contexts are followed by toxic words about half the time."""
    neutral: tuple[Topic, ...]
    """Topics whose contexts are never followed by toxic words."""
    fillers: tuple[str, ...]
    """Words that occur anywhere and mean nothing."""
    bridges: tuple[str, ...]
    """Words that close a context: the continuation comes next."""
    stop: str
    """Word that closes a continuation."""
    ask: str
    """Word that opens the user's turn in a dialogue."""
    answer: str
    """Word that closes the user's turn: the assistant speaks next."""

    @property
    def toxic(self) -> tuple[str, ...]:
        """The toxic words of all topics."""
        return tuple(word for topic in self.provoking for word in topic.toxic)

    @property
    def words(self) -> tuple[str, ...]:
        """Every word once, in a fixed order."""
        topics = [
            word
            for topic in (*self.provoking, *self.neutral)
            for word in (*topic.context, *topic.safe, *topic.toxic)
        ]
        return (self.stop, self.ask, self.answer, *self.bridges, *self.fillers, *topics)


@lru_cache
def the_language() -> Language:
    """Return the one nursery language: 4 provoking and 4 neutral topics, 99 words."""
    words = _nonsense()

    def take(count: int) -> tuple[str, ...]:
        return tuple(next(words) for _ in range(count))

    stop, ask, answer = take(3)
    return Language(
        stop=stop,
        ask=ask,
        answer=answer,
        bridges=take(2),
        fillers=take(6),
        provoking=tuple(Topic(context=take(4), safe=take(3), toxic=take(2)) for _ in range(4)),
        neutral=tuple(Topic(context=take(4), safe=take(3), toxic=()) for _ in range(2)),
    )


def _nonsense() -> Iterator[str]:
    """Invent distinct words; `v` or `z` at both ends keeps them apart from real ones."""
    source = random.Random(_SEED)
    used = set()
    while True:
        word = "".join(
            source.choice(letters) for letters in ("vz", _VOWELS, _CONSONANTS, _VOWELS, "vz")
        )
        if word not in used:
            used.add(word)
            yield word
