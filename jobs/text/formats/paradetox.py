"""ParaDetox: a tsv of toxic sentences, each with up to three neutral rewrites.

A sentence and its rewrite that open with the same words are a prompt with two continuations.
Sentences that open alike fall on one side of the split, so no training prompt begins a held-out
sentence.
"""

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from pydantic import Field

from analysis.long_table.circumstances import Origin
from jobs.text.data_file import Row, read_rows
from jobs.text.format import Dropped, Format, Options, Pair, Prompt, Reading, source_of
from jobs.text.held_out import is_held_out, prompts_to_measure

_REWRITES = ("neutral1", "neutral2", "neutral3")
_SHORTEST_OPENING = 3


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

    def read_texts(self, source: Path | None, options: ParadetoxOptions) -> Reading[str]:
        """Read both sides of every sentence that is not held out: it, then its rewrites."""
        rows, dropped = _rows(source)
        kept, held_out = _split(rows, options)
        texts = [text for row in kept for text in (row.cells["toxic"], *_rewrites(row))]
        return Reading(items=[_spaced(text) for text in texts], dropped=dropped + held_out)

    def read_pairs(self, source: Path | None, options: ParadetoxOptions) -> Reading[Pair]:
        """Read one pair per rewrite; the toxic side is rejected."""
        rows, dropped = _rows(source)
        kept, held_out = _split(rows, options)
        pairs, unshared = _cut(kept, options.min_words)
        return Reading(items=pairs, dropped=dropped + held_out + unshared)

    def read_prompts(self, source: Path | None, options: ParadetoxOptions) -> Reading[Prompt]:
        """Read the shared opening of held-out sentences, with the rewrite's continuation."""
        rows, dropped = _rows(source)
        _, held_out = _split(rows, options)
        numbers = {dropped_row.row for dropped_row in held_out}
        pairs, unshared = _cut([row for row in rows if row.number in numbers], options.min_words)
        return Reading(items=prompts_to_measure(pairs, 0.0).items, dropped=dropped + unshared)


def _rows(source: Path | None) -> tuple[list[Row], list[Dropped]]:
    """Read rows with a sentence and at least one rewrite, and list the others."""
    path = source_of("paradetox", source)
    rows, dropped = [], []
    for row in read_rows(path, ("toxic", *_REWRITES), required=False):
        if not row.cells["toxic"].strip():
            dropped.append(Dropped(row=row.number, reason="no toxic sentence"))
        elif not _rewrites(row):
            dropped.append(Dropped(row=row.number, reason="no rewrite"))
        else:
            rows.append(row)
    return rows, dropped


def _split(rows: list[Row], options: ParadetoxOptions) -> tuple[list[Row], list[Dropped]]:
    """Separate rows to train on from the held-out others."""
    openings = (" ".join(row.cells["toxic"].split()[:_SHORTEST_OPENING]) for row in rows)
    held = [is_held_out(opening, options.held_out) for opening in openings]
    reason = "held out for measurement"
    kept = [row for row, out in zip(rows, held, strict=True) if not out]
    numbers = [row.number for row, out in zip(rows, held, strict=True) if out]
    return kept, [Dropped(row=number, reason=reason) for number in numbers]


def _cut(rows: list[Row], min_words: int) -> tuple[list[Pair], list[Dropped]]:
    """Cut every row into pairs, and list the rows that have none."""
    pairs, dropped = [], []
    for row in rows:
        pairs_of_row = list(_pairs_of(row, min_words))
        pairs += pairs_of_row
        if not pairs_of_row:
            reason = f"no rewrite shares {min_words} opening words and then goes on otherwise"
            dropped.append(Dropped(row=row.number, reason=reason))
    return pairs, dropped


def _pairs_of(row: Row, min_words: int) -> Iterator[Pair]:
    toxic = row.cells["toxic"].split()
    for rewrite in _rewrites(row):
        neutral = rewrite.split()
        alike = takewhile(lambda both: both[0] == both[1], zip(toxic, neutral, strict=False))
        shared = sum(1 for _ in alike)
        # Where one side ends, there is no continuation to prefer.
        if min_words <= shared < min(len(toxic), len(neutral)):
            yield Pair(
                row=row.number,
                prompt=" ".join(toxic[:shared]),
                chosen=" " + " ".join(neutral[shared:]),
                rejected=" " + " ".join(toxic[shared:]),
            )


def _rewrites(row: Row) -> list[str]:
    cells = (row.cells.get(name) for name in _REWRITES)
    return [cell for cell in cells if cell and cell.strip()]


def _spaced(text: str) -> str:
    return " ".join(text.split())
