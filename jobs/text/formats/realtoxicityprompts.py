"""RealToxicityPrompts: as published (rows with a prompt and its scores), or as text.

As text: one prompt per line, in a file or in every .txt of a folder. As published, 1,199 of the
prompts are marked `challenging`; Lee et al. 2024 measure on those.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from analysis.long_table.circumstances import Origin
from cluster.errors import UserError
from jobs.text.chat_messages import parse_text
from jobs.text.data_set import read_all_rows, read_text_rows
from jobs.text.example_texts import openings_with_ends
from jobs.text.format import Format
from jobs.text.messages_as_text import plain_text
from jobs.text.reading import Dropped, Prompt, Reading, Segment
from jobs.text.row_options import RowOptions
from jobs.text.rows.table import Row


class RealToxicityPromptsOptions(RowOptions):
    """Which prompts are read."""

    challenging: bool = Field(
        False, description="only rows whose column `challenging` is true; the source must have it"
    )


class Realtoxicityprompts(Format[RealToxicityPromptsOptions]):
    """Openings of sentences from the web."""

    ORIGIN = Origin.COLLECTED
    Options = RealToxicityPromptsOptions

    def example_rows(self, options: RealToxicityPromptsOptions) -> Sequence[Mapping[str, object]]:
        """Return openings, all of them marked."""
        return [{"prompt": opening, "challenging": True} for opening, _, _ in openings_with_ends()]

    def read_prompts(
        self, source: Path | None, options: RealToxicityPromptsOptions
    ) -> Reading[Prompt]:
        """Read every prompt; nothing answers it. Lines that are blank give none."""
        if options.challenging:
            columns = ("prompt", "challenging")
            rows = read_all_rows("realtoxicityprompts", source, options, columns)
            marked = [row for row in rows.rows if _is_true(row.cell("challenging"))]
            if not marked:
                raise UserError("no prompt in it is marked challenging", where=str(source))
            prompts, broken = replace(rows, rows=marked).make(_prompt)
            return rows.reading(Reading(items=prompts), broken)
        rows = read_text_rows("realtoxicityprompts", source, options, "prompt")
        blank = [row for row in rows.rows if _is_blank_line(row)]
        numbers = {row.number for row in blank}
        filled = replace(rows, rows=[row for row in rows.rows if row.number not in numbers])
        prompts, broken = filled.make(_prompt)
        dropped = [Dropped(row=row.number, reason="blank line") for row in blank]
        return rows.reading(Reading(items=prompts, dropped=dropped), broken)


def _is_true(cell: object) -> bool:
    return cell == 1 or (isinstance(cell, str) and cell.strip().lower() in ("true", "1", "1.0"))


def _is_blank_line(row: Row) -> bool:
    text = row.cell("prompt")
    return len(row.cells) == 1 and isinstance(text, str) and not text.strip()


def _prompt(row: Row) -> Prompt:
    """Read `prompt.text`, as published or as a csv writes it, or a prompt of plain text."""
    prompt = row.cell("prompt")
    if isinstance(prompt, str) and isinstance(parsed := parse_text(prompt), Mapping):
        prompt = parsed
    if isinstance(prompt, Mapping):
        row = replace(row, cells={"prompt.text": prompt.get("text")})
    text = plain_text(row, "prompt.text" if isinstance(prompt, Mapping) else "prompt").strip()
    return Prompt(row=row.number, source=text, segments=(Segment(role="prompt", text=text),))
