"""Prompts with an answer each: columns `prompt` and `answer` of a file of rows, or of a folder.

Texts join as they are: a separator is part of one of them. Where nearly all answers begin with
their prompt, it is taken off.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.long_table.circumstances import Origin
from jobs.text.data_set import read_all_rows
from jobs.text.example_texts import openings_with_ends
from jobs.text.format import Format
from jobs.text.messages_as_text import plain_text
from jobs.text.reading import Prompt, Reading, Segment
from jobs.text.repeated_prompts import are_repeated, behind, note_of_repeats
from jobs.text.row_options import RowOptions
from jobs.text.rows.table import Row

_COLUMNS = ("prompt", "answer")


class PromptAnswer(Format[RowOptions]):
    """Requests and what is to follow them."""

    ORIGIN = Origin.COLLECTED
    VERSION = 2
    Options = RowOptions

    def example_rows(self, options: RowOptions) -> Sequence[Mapping[str, object]]:
        """Return openings and how they go on."""
        return [dict(zip(_COLUMNS, row, strict=False)) for row in openings_with_ends()]

    def read_prompts(self, source: Path | None, options: RowOptions) -> Reading[Prompt]:
        """Read every row."""
        rows = read_all_rows("prompt-answer", source, options, _COLUMNS)
        texts, broken = rows.make(_texts)
        if are_repeated([pair for _, pair in texts]):
            texts, broken = rows.make(_texts_behind)
            rows = rows.noting(note_of_repeats("answers"))
        return rows.reading(Reading(items=[_prompt(*each) for each in texts]), broken)


def _texts(row: Row) -> tuple[int, tuple[str, str]]:
    """Return the number of a row, and its prompt and answer."""
    return row.number, (plain_text(row, "prompt"), plain_text(row, "answer"))


def _texts_behind(row: Row) -> tuple[int, tuple[str, str]]:
    number, (prompt, answer) = _texts(row)
    return number, (prompt, behind(prompt, answer, "'answer'"))


def _prompt(number: int, texts: tuple[str, str]) -> Prompt:
    prompt, answer = texts
    segments = (Segment(role="prompt", text=prompt), Segment(role="response", text=answer))
    return Prompt(row=number, source=prompt, segments=segments)
