"""Prompts with an answer each: columns `prompt` and `answer` of a file of rows, or of a folder.

Texts join as they are: a separator is part of one of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.long_table.circumstances import Origin
from jobs.text.data_set import read_all_rows
from jobs.text.example_texts import openings_with_ends
from jobs.text.format import Format, Prompt, Reading, Segment
from jobs.text.row_options import RowOptions
from jobs.text.rows.cell import text_cell
from jobs.text.rows.table import Row

_COLUMNS = ("prompt", "answer")


class PromptAnswer(Format[RowOptions]):
    """Requests and what is to follow them."""

    ORIGIN = Origin.COLLECTED
    Options = RowOptions

    def example_rows(self, options: RowOptions) -> Sequence[Mapping[str, object]]:
        """Return openings and how they go on."""
        return [dict(zip(_COLUMNS, row, strict=False)) for row in openings_with_ends()]

    def read_prompts(self, source: Path | None, options: RowOptions) -> Reading[Prompt]:
        """Read every row."""
        rows = read_all_rows("prompt-answer", source, options, _COLUMNS)
        prompts, broken = rows.make(_prompt)
        return rows.reading(Reading(items=prompts), broken)


def _prompt(row: Row) -> Prompt:
    prompt, answer = (text_cell(row, name) for name in _COLUMNS)
    segments = (Segment(role="prompt", text=prompt), Segment(role="response", text=answer))
    return Prompt(row=row.number, source=prompt, segments=segments)
