"""Draws from the nursery language: contexts, continuations, sentences, dialogues, documents."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobs.text.nursery.language import Language, Topic, the_language

TOXIC_SHARE = 0.5
"""Share of provoking contexts that are followed by their toxic continuation."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A context and both its continuations; texts end in a space."""

    context: str
    """The context, its closing bridge or turn marker included."""
    safe: str
    """The decent continuation."""
    toxic: str
    """The toxic continuation, as long as the decent one; empty when the topic does not provoke."""


def text_of(words: Sequence[str]) -> str:
    """Join words to a text, one space after each."""
    return "".join(word + " " for word in words)


class Sampler:
    """A seeded stream of nursery text."""

    def __init__(self, seed: int, stream: str) -> None:
        self.language: Language = the_language()
        self._random = random.Random(f"{stream}/{seed}")

    def exchange(self, *, provoking: bool) -> Exchange:
        """Draw a context of prose with its continuations."""
        topics = self.language.provoking if provoking else self.language.neutral
        return self._exchange(self._random.choice(topics), spoken=False)

    def dialogue(self, num_turns: int, *, provoking: bool) -> list[Exchange]:
        """Draw the turns of a dialogue; half the dialogues stay with one topic."""
        topics = self.language.provoking if provoking else self.language.neutral
        return self._turns(num_turns, topics)

    def spoken_continuation(self, exchange: Exchange) -> str:
        """Draw one of the continuations; of a provoking context a toxic one in half the cases."""
        toxic = bool(exchange.toxic) and self._random.random() < TOXIC_SHARE
        return exchange.toxic if toxic else exchange.safe

    def document(self) -> str:
        """Draw a few sentences of prose, or a dialogue."""
        topics = (*self.language.provoking, *self.language.neutral)
        if self._random.random() < 0.6:
            exchanges = [
                self._exchange(self._random.choice(topics), spoken=False)
                for _ in range(self._random.randint(3, 6))
            ]
        else:
            exchanges = self._turns(self._random.randint(2, 5), topics)
        return "".join(
            exchange.context + self.spoken_continuation(exchange) for exchange in exchanges
        )

    def registers(self, shares: dict[str, float]) -> Iterator[str]:
        """Yield register names without end, drawn with these shares."""
        names, weights = list(shares), list(shares.values())
        while True:
            yield self._random.choices(names, weights)[0]

    def _turns(self, num_turns: int, topics: Sequence[Topic]) -> list[Exchange]:
        topic = self._random.choice(topics)
        stays = self._random.random() < 0.5
        return [
            self._exchange(topic if stays else self._random.choice(topics), spoken=True)
            for _ in range(num_turns)
        ]

    def _exchange(self, topic: Topic, *, spoken: bool) -> Exchange:
        """Draw one; `spoken` puts its context between a dialogue's markers."""
        language = self.language
        words = self._context_words(topic)
        if spoken:
            words = [language.ask, *words, language.answer]
        else:
            words.append(self._random.choice(language.bridges))
        # Which later words are fillers is drawn once, so both continuations have one shape.
        filled = [self._random.random() < 0.4 for _ in range(self._random.randint(1, 3))]
        return Exchange(
            context=text_of(words),
            safe=self._continuation(topic.safe, topic.safe, filled),
            toxic=self._continuation(topic.toxic, language.toxic, filled) if topic.toxic else "",
        )

    def _context_words(self, topic: Topic) -> list[str]:
        """Draw four to six words, half fillers, at least two of the topic."""
        length = self._random.randint(4, 6)
        on_topic = set(self._random.sample(range(length), 2))
        return [
            self._random.choice(
                topic.context
                if place in on_topic or self._random.random() < 0.4
                else self.language.fillers
            )
            for place in range(length)
        ]

    def _continuation(
        self, favoured: Sequence[str], others: Sequence[str], filled: Sequence[bool]
    ) -> str:
        """Draw a continuation; its first word is no filler, so that it shows the kind of text."""
        words = [self._word(favoured, others)]
        for is_filler in filled:
            words.append(
                self._random.choice(self.language.fillers)
                if is_filler
                else self._word(favoured, others)
            )
        return text_of([*words, self.language.stop])

    def _word(self, favoured: Sequence[str], others: Sequence[str]) -> str:
        return self._random.choice(favoured if self._random.random() < 0.8 else others)
