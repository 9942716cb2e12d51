"""The nursery language (`jobs/text/nursery/`): documents, pairs and prompts with no source.

Prompts of pairs and prompts for measurement are disjoint.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from analysis.long_table.circumstances import Origin
from cluster.errors import UserError
from jobs.text.format import Format, Options
from jobs.text.held_out import is_held_out
from jobs.text.nursery.language import the_language
from jobs.text.nursery.sampler import Exchange, Sampler
from jobs.text.nursery.vocabulary import in_register
from jobs.text.nursery.vocabulary import train_tokenizer as train_nursery_tokenizer
from jobs.text.reading import Pair, Prompt, Reading, Segment

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


_HELD_OUT = 0.25
"""Share of contexts that pairs leave to measurement."""

_MOST = 1_000_000
"""Texts of one kind that are drawn: they are all made, in memory, already for a plan."""


class NurseryOptions(Options):
    """What to generate."""

    seed: int = Field(0, description="seed of the draws; the language is always the same")
    num_documents: int = Field(12_000, ge=1, le=_MOST, description="documents to pretrain on")
    num_pairs: int = Field(
        2_000, ge=1, le=_MOST, description="preference pairs, all in the plain register"
    )
    num_prompts: int = Field(200, ge=1, le=_MOST, description="prompts or dialogues")
    contexts: Literal["provoking", "neutral", "dialogue"] = Field(
        "provoking", description="what prompts are: provoking, neutral, or provoking dialogues"
    )
    num_turns: int = Field(4, ge=1, le=5, description="user turns of a dialogue")


class Nursery(Format[NurseryOptions]):
    """The generated language; reads no source."""

    ORIGIN = Origin.LANGUAGE
    Options = NurseryOptions

    def read_texts(self, source: Path | None, options: NurseryOptions) -> Reading[str]:
        """Draw documents: 0.4 plain, 0.3 in each of two cipher registers."""
        _no_source(source)
        sampler = Sampler(options.seed, "documents")
        registers = sampler.registers({"plain": 0.4, "rot13": 0.3, "base64": 0.3})
        return Reading(
            items=[
                in_register(sampler.document(), next(registers))
                for _ in range(options.num_documents)
            ],
            toxic_words=the_language().toxic,
        )

    def read_pairs(self, source: Path | None, options: NurseryOptions) -> Reading[Pair]:
        """Draw provoking contexts, all plain; chosen is decent, rejected toxic, equally long."""
        _no_source(source)
        exchanges = _exchanges(options.seed, "pairs", provoking=True, held_out=False)
        return Reading(
            items=[
                Pair(
                    row=row, prompt=exchange.context, chosen=exchange.safe, rejected=exchange.toxic
                )
                for row, exchange in zip(range(1, options.num_pairs + 1), exchanges, strict=False)
            ],
            toxic_words=the_language().toxic,
        )

    def read_prompts(self, source: Path | None, options: NurseryOptions) -> Reading[Prompt]:
        """Draw held-out contexts with a decent answer, or dialogues whose last answer is decent."""
        _no_source(source)
        prompts = (
            _dialogues(options)
            if options.contexts == "dialogue"
            else _single(options, provoking=options.contexts == "provoking")
        )
        return Reading(
            items=[prompt for _, prompt in zip(range(options.num_prompts), prompts, strict=False)],
            toxic_words=the_language().toxic,
        )

    def train_tokenizer(
        self, documents: list[str], vocab_size: int | None
    ) -> "PreTrainedTokenizerFast":
        """Make the language's own word tokenizer; its size is given by the language."""
        return train_nursery_tokenizer()


def _no_source(source: Path | None) -> None:
    if source is not None:
        raise UserError(
            "format 'nursery' generates its data and reads no source",
            where=str(source),
            hint="leave `source` out",
        )


def _exchanges(seed: int, stream: str, *, provoking: bool, held_out: bool) -> Iterator[Exchange]:
    sampler = Sampler(seed, stream)
    while True:
        exchange = sampler.exchange(provoking=provoking)
        if is_held_out(exchange.context, _HELD_OUT) == held_out:
            yield exchange


def _single(options: NurseryOptions, *, provoking: bool) -> Iterator[Prompt]:
    exchanges = _exchanges(options.seed, options.contexts, provoking=provoking, held_out=True)
    for row, exchange in enumerate(exchanges, start=1):
        segments = (
            Segment(role="prompt", text=exchange.context),
            Segment(role="response", text=exchange.safe),
        )
        other = Segment(role="response", text=exchange.toxic) if exchange.toxic else None
        yield Prompt(row=row, source=exchange.context, segments=segments, rejected=other)


def _dialogues(options: NurseryOptions) -> Iterator[Prompt]:
    sampler = Sampler(options.seed, "dialogues")
    row = 0
    while True:
        row += 1
        turns = sampler.dialogue(options.num_turns, provoking=True)
        segments = []
        for turn in turns:
            answer = turn.safe if turn is turns[-1] else sampler.spoken_continuation(turn)
            segments.append(Segment(role="user", text=turn.context))
            segments.append(Segment(role="assistant", text=answer))
        source = "".join(segment.text for segment in segments)
        other = Segment(role="assistant", text=turns[-1].toxic) if turns[-1].toxic else None
        yield Prompt(row=row, source=source, segments=tuple(segments), rejected=other)
