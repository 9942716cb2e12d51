"""Preference pairs as TRL writes them: columns prompt, chosen, rejected of plain text.

A file of rows, or a folder of them. Continuations join their prompt as they are, so a separator is
part of one of them. Without a column prompt, it is the words that both sides begin with.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.long_table.circumstances import Origin
from cluster.errors import UserError
from jobs.text.chat_messages import looks_like_messages
from jobs.text.data_set import SourceRows, read_all_rows
from jobs.text.example_texts import openings_with_ends
from jobs.text.format import Dropped, Format, Pair, Prompt, Reading
from jobs.text.held_out import pairs_to_train_on, prompts_to_measure
from jobs.text.row_options import PairRowOptions
from jobs.text.rows.cell import text_cell
from jobs.text.rows.fault import RowFault
from jobs.text.rows.table import Row

_SIDES = ("chosen", "rejected")
_ALSO_PROMPTS = frozenset(
    {"question", "instruction", "input", "query", "context", "user", "problem", "prompt_text"}
)
"""Names that prompts have elsewhere."""
_TRANSCRIPT = "\n\nHuman:"


class PromptChosenRejected(Format[PairRowOptions]):
    """Pairs of plain text of a source outside."""

    ORIGIN = Origin.COLLECTED
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
    rows = read_all_rows(name, source, options, _SIDES, optional=("prompt",))
    has_prompts = any("prompt" in row.cells for row in rows.rows)
    other = next(
        (column for column in rows.unused_columns if column.lower() in _ALSO_PROMPTS), None
    )
    if not has_prompts and other is not None:
        raise UserError(
            "missing column prompt",
            where=str(source),
            hint=f"if {other!r} is it: options: {{columns: {{prompt: {other}}}}}",
        )
    pairs, broken = rows.make(_pair if has_prompts else _pair_of_shared_opening)
    return rows, pairs, broken


def _pair(row: Row) -> Pair:
    prompt, chosen, rejected = (_text(row, name) for name in ("prompt", *_SIDES))
    return Pair(row=row.number, prompt=prompt, chosen=chosen, rejected=rejected)


def _pair_of_shared_opening(row: Row) -> Pair:
    """Take the words that both sides begin with as the prompt; no word is cut in two."""
    chosen, rejected = (_text(row, name) for name in _SIDES)
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


def _text(row: Row, name: str) -> str:
    text = text_cell(row, name)
    if looks_like_messages(text):
        raise RowFault(f"{name!r} is a list of messages as text (format `messages` reads them)")
    return text
