"""The words of the nursery language and what follows what. One language, fixed for good.

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
    """What a context can be about, and what follows it."""

    context: tuple[str, ...]
    """Words that a context about it is made of, beside fillers."""
    safe: tuple[str, ...]
    """Words of its decent continuation."""
    toxic: tuple[str, ...]
    """Words of its toxic continuation; none when the topic does not provoke."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """All words by the part they play."""

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
    """The one nursery language: 4 provoking and 4 neutral topics, 99 words."""
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
    """Invented words, no two alike; `v` or `z` at both ends keeps them apart from real ones."""
    source = random.Random(_SEED)
    seen = set()
    while True:
        word = "".join(
            source.choice(letters) for letters in ("vz", _VOWELS, _CONSONANTS, _VOWELS, "vz")
        )
        if word not in seen:
            seen.add(word)
            yield word
