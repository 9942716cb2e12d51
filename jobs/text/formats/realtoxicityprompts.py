"""RealToxicityPrompts: as published (rows with a prompt and its scores), or as text.

As text: one prompt per line, in a file or in every .txt of a folder.
"""

from dataclasses import replace
from pathlib import Path

from analysis.long_table.circumstances import Origin
from jobs.text.data_set import read_text_rows
from jobs.text.format import Dropped, Format, Prompt, Reading, Segment
from jobs.text.row_options import RowOptions
from jobs.text.rows.cell import text_cell
from jobs.text.rows.table import Row


class Realtoxicityprompts(Format[RowOptions]):
    """Openings of sentences from the web."""

    ORIGIN = Origin.COLLECTED
    Options = RowOptions

    def read_prompts(self, source: Path | None, options: RowOptions) -> Reading[Prompt]:
        """Read every prompt; nothing answers it. Lines that are blank give none."""
        rows = read_text_rows("realtoxicityprompts", source, options, "prompt")
        blank = [row for row in rows.rows if _is_blank_line(row)]
        numbers = {row.number for row in blank}
        filled = replace(rows, rows=[row for row in rows.rows if row.number not in numbers])
        prompts, broken = filled.make(_prompt)
        dropped = [Dropped(row=row.number, reason="blank line") for row in blank]
        return rows.reading(Reading(items=prompts, dropped=dropped), broken)


def _is_blank_line(row: Row) -> bool:
    text = row.cell("prompt")
    return len(row.cells) == 1 and isinstance(text, str) and not text.strip()


def _prompt(row: Row) -> Prompt:
    """Read `prompt.text`, as published, or a prompt of plain text."""
    is_published = isinstance(row.cell("prompt"), dict)
    text = text_cell(row, "prompt.text" if is_published else "prompt").strip()
    return Prompt(row=row.number, source=text, segments=(Segment(role="prompt", text=text),))
