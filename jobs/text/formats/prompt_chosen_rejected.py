"""Preference pairs as TRL writes them: columns prompt, chosen, rejected of plain text.

A file of rows, or a folder of them. Continuations join their prompt as they are, so a separator is
part of one of them. Where nearly all sides begin with their prompt, it is taken off. Without a
column prompt, it is the words that both sides begin with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from analysis.long_table.circumstances import Origin
from jobs.text.column_check import ALSO_PROMPTS, like, of_another_name
from jobs.text.data_set import SourceRows, read_all_rows
from jobs.text.example_texts import openings_with_ends
from jobs.text.format import Format
from jobs.text.held_out import pairs_to_train_on, prompts_to_measure
from jobs.text.messages_as_text import plain_text
from jobs.text.reading import Dropped, Pair, Prompt, Reading
from jobs.text.repeated_prompts import are_repeated, behind, note_of_repeats
from jobs.text.row_options import PairRowOptions
from jobs.text.rows.fault import RowFault, shown
from jobs.text.rows.table import Row
from jobs.text.transcripts import note_of_transcripts

_SIDES = ("chosen", "rejected")
_TRANSCRIPT = "\n\nHuman:"


class PromptChosenRejected(Format[PairRowOptions]):
    """Pairs of plain text of a source outside."""

    ORIGIN = Origin.COLLECTED
    VERSION = 2
    Options = PairRowOptions

    def example_rows(self, options: PairRowOptions) -> Sequence[Mapping[str, object]]:
        """Return openings with both continuations."""
        names = ("prompt", *_SIDES)
        return [dict(zip(names, row, strict=True)) for row in openings_with_ends()]

    def read_pairs(self, source: Path | None, options: PairRowOptions) -> Reading[Pair]:
        """Read every row whose prompt is not held out."""
        rows, pairs, broken = _pairs(source, options)
        return rows.reading(pairs_to_train_on(pairs, options.held_out), broken)

    def read_prompts(self, source: Path | None, options: PairRowOptions) -> Reading[Prompt]:
        """Read held-out prompts (all, where none is held out) with their chosen continuation."""
        rows, pairs, broken = _pairs(source, options)
        return rows.reading(prompts_to_measure(pairs, options.held_out), broken)


def _pairs(
    source: Path | None, options: PairRowOptions
) -> tuple[SourceRows, list[Pair], list[Dropped]]:
    name = "prompt-chosen-rejected"
    rows = read_all_rows(name, source, options, _SIDES, optional=[("prompt",)])
    has_prompts = any("prompt" in row.cells for row in rows.rows)
    if not has_prompts:
        other = like(rows.unused_columns, ALSO_PROMPTS)
        if other is not None:
            raise of_another_name(source, "prompt", other)
        pairs, broken = rows.make(_pair_of_shared_opening)
        return rows.noting(_note_of_shared_openings(rows)), pairs, broken
    pairs, broken = rows.make(_pair)
    if are_repeated([(pair.prompt, pair.chosen, pair.rejected) for pair in pairs]):
        pairs, broken = rows.make(_pair_of_whole_texts)
        rows = rows.noting(note_of_repeats("both sides"))
    answers = [(pair.chosen, pair.rejected) for pair in pairs]
    return rows.noting(note_of_transcripts(answers, source)), pairs, broken


def _note_of_shared_openings(rows: SourceRows) -> str | None:
    """Say where prompts come from, if they might as well stand in a column that nothing reads."""
    if not rows.unused_columns:
        return None
    return (
        "there is no column prompt: the words that both sides open with are it; nothing reads "
        f"{shown(rows.unused_columns)}"
    )


def _pair(row: Row) -> Pair:
    prompt, chosen, rejected = (plain_text(row, name) for name in ("prompt", *_SIDES))
    return Pair(row=row.number, prompt=prompt, chosen=chosen, rejected=rejected)


def _pair_of_whole_texts(row: Row) -> Pair:
    """Take the prompt off both sides, which begin with it."""
    pair = _pair(row)
    chosen, rejected = (
        behind(pair.prompt, side, repr(name))
        for side, name in zip((pair.chosen, pair.rejected), _SIDES, strict=True)
    )
    return replace(pair, chosen=chosen, rejected=rejected)


def _pair_of_shared_opening(row: Row) -> Pair:
    """Take the words that both sides begin with as the prompt; no word is cut in two."""
    chosen, rejected = (plain_text(row, name) for name in _SIDES)
    if chosen.startswith(_TRANSCRIPT):
        raise RowFault("'chosen' is a transcript of turns (format `hh-rlhf` reads them)")
    shared = next(
        (at for at, both in enumerate(zip(chosen, rejected, strict=False)) if len(set(both)) > 1),
        min(len(chosen), len(rejected)),
    )
    while shared and not chosen[shared : shared + 1].isspace():
        shared -= 1
    if not chosen[:shared].strip():
        raise RowFault("there is no prompt, and the sides share no opening words")
    return Pair(
        row=row.number, prompt=chosen[:shared], chosen=chosen[shared:], rejected=rejected[shared:]
    )
