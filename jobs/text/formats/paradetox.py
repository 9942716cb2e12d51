"""ParaDetox: a tsv of toxic sentences, each with up to three neutral rewrites.

A sentence and its rewrite that open with the same words are a prompt with two continuations.
Sentences that open alike fall on one side of the split, so no training prompt begins a held-out
sentence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from pydantic import Field

from analysis.long_table.circumstances import Origin
from jobs.text.data_set import SourceRows, read_files
from jobs.text.example_texts import openings_with_ends
from jobs.text.format import Format, Options, source_of
from jobs.text.held_out import is_held_out, prompts_to_measure
from jobs.text.reading import Dropped, Pair, Prompt, Reading
from jobs.text.rows.cell import optional_text
from jobs.text.rows.table import Row

_REWRITES = ("neutral1", "neutral2", "neutral3")
_SHORTEST_OPENING = 3


@dataclass(frozen=True, kw_only=True)
class _Sentence:
    """A toxic sentence with its rewrites."""

    row: int
    """Row of the source, from 1."""
    toxic: str
    """As it stands there."""
    rewrites: list[str]
    """At least one."""


class ParadetoxOptions(Options):
    """How sentences are cut and split."""

    min_words: int = Field(
        _SHORTEST_OPENING,
        ge=_SHORTEST_OPENING,
        description="least opening words that a sentence and its rewrite share",
    )
    held_out: float = Field(
        0.25, ge=0, lt=1, description="share of sentences that training leaves to measurement"
    )


class Paradetox(Format[ParadetoxOptions]):
    """Sentences and the rewrites that people gave them."""

    ORIGIN = Origin.COLLECTED
    Options = ParadetoxOptions

    def example_rows(self, options: ParadetoxOptions) -> Sequence[Mapping[str, object]]:
        """Return sentences with one rewrite each."""
        return [
            {"toxic": opening + rude, "neutral1": opening + decent, "neutral2": "", "neutral3": ""}
            for opening, decent, rude in openings_with_ends()
        ]

    def read_texts(self, source: Path | None, options: ParadetoxOptions) -> Reading[str]:
        """Read both sides of every sentence that is not held out: it, then its rewrites."""
        rows, sentences, broken = _read(source)
        kept, held_out = _split(sentences, options)
        texts = [_spaced(text) for row in kept for text in (row.toxic, *row.rewrites)]
        return rows.reading(Reading(items=texts, dropped=held_out), broken)

    def read_pairs(self, source: Path | None, options: ParadetoxOptions) -> Reading[Pair]:
        """Read one pair per rewrite; the toxic side is rejected."""
        rows, sentences, broken = _read(source)
        kept, held_out = _split(sentences, options)
        pairs, unshared = _cut(kept, options.min_words)
        return rows.reading(Reading(items=pairs, dropped=held_out + unshared), broken)

    def read_prompts(self, source: Path | None, options: ParadetoxOptions) -> Reading[Prompt]:
        """Read the shared opening of held-out sentences, with the rewrite's continuation."""
        rows, sentences, broken = _read(source)
        _, held_out = _split(sentences, options)
        numbers = {row.row for row in held_out}
        pairs, unshared = _cut(
            [each for each in sentences if each.row in numbers], options.min_words
        )
        prompts = prompts_to_measure(pairs, 0.0).items
        return rows.reading(Reading(items=prompts, dropped=unshared), broken)


def _read(source: Path | None) -> tuple[SourceRows, list[_Sentence], list[Dropped]]:
    """Read rows with a sentence and at least one rewrite, and list the others."""
    path = source_of("paradetox", source)
    rows = read_files([path], ("toxic", *_REWRITES))
    read, broken = rows.make(_sentence)
    sentences = [each for each in read if isinstance(each, _Sentence)]
    return rows, sentences, broken + [each for each in read if isinstance(each, Dropped)]


def _sentence(row: Row) -> _Sentence | Dropped:
    toxic, *rewrites = (optional_text(row, name) or "" for name in ("toxic", *_REWRITES))
    rewrites = [rewrite for rewrite in rewrites if rewrite.strip()]
    if toxic.strip() and rewrites:
        return _Sentence(row=row.number, toxic=toxic, rewrites=rewrites)
    return Dropped(row=row.number, reason="no rewrite" if toxic.strip() else "no toxic sentence")


def _split(
    rows: list[_Sentence], options: ParadetoxOptions
) -> tuple[list[_Sentence], list[Dropped]]:
    """Separate rows to train on from the held-out others."""
    openings = (" ".join(row.toxic.split()[:_SHORTEST_OPENING]) for row in rows)
    held = [is_held_out(opening, options.held_out) for opening in openings]
    reason = "held out for measurement"
    kept = [row for row, out in zip(rows, held, strict=True) if not out]
    numbers = [row.row for row, out in zip(rows, held, strict=True) if out]
    return kept, [Dropped(row=number, reason=reason) for number in numbers]


def _cut(rows: list[_Sentence], min_words: int) -> tuple[list[Pair], list[Dropped]]:
    """Cut every row into pairs, and list the rows that have none."""
    pairs, dropped = [], []
    for row in rows:
        pairs_of_row = list(_pairs_of(row, min_words))
        pairs += pairs_of_row
        if not pairs_of_row:
            reason = f"no rewrite shares {min_words} opening words and then goes on otherwise"
            dropped.append(Dropped(row=row.row, reason=reason))
    return pairs, dropped


def _pairs_of(row: _Sentence, min_words: int) -> Iterator[Pair]:
    toxic = row.toxic.split()
    for rewrite in row.rewrites:
        neutral = rewrite.split()
        alike = takewhile(lambda both: both[0] == both[1], zip(toxic, neutral, strict=False))
        shared = sum(1 for _ in alike)
        # Where one side ends, there is no continuation to prefer.
        if min_words <= shared < min(len(toxic), len(neutral)):
            yield Pair(
                row=row.row,
                prompt=" ".join(toxic[:shared]),
                chosen=" " + " ".join(neutral[shared:]),
                rejected=" " + " ".join(toxic[shared:]),
            )


def _spaced(text: str) -> str:
    return " ".join(text.split())
