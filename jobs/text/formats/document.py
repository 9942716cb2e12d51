"""A whole text as it stands, in one piece: the lines of a file, or the column `text` of rows.

For `window_perplexity`, which cuts it into windows of tokens. WikiText as papers score it is the
rows of the hub's set (a line with its end, or nothing) joined by a blank line.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from analysis.long_table.circumstances import Origin
from cluster.errors import UserError
from jobs.text.data_set import read_text_rows
from jobs.text.example_texts import NUM_ROWS, phrases
from jobs.text.format import Format
from jobs.text.messages_as_text import plain_text_if_any
from jobs.text.reading import Prompt, Reading, Segment
from jobs.text.row_options import RowOptions


class DocumentOptions(RowOptions):
    """How its lines become one text."""

    joined_by: str = Field("\n\n", description="what stands between two lines")
    line_ends: bool = Field(
        True, description="whether a line that is not blank has its end, before what joins it"
    )


class Document(Format[DocumentOptions]):
    """A text that is read in one piece."""

    ORIGIN = Origin.COLLECTED
    Options = DocumentOptions

    def example_rows(self, options: DocumentOptions) -> Sequence[Mapping[str, object]]:
        """Return paragraphs."""
        paragraphs = phrases(70)
        return [{"text": next(paragraphs)} for _ in range(NUM_ROWS)]

    def read_prompts(self, source: Path | None, options: DocumentOptions) -> Reading[Prompt]:
        """Read all lines as one answer to nothing. Raises UserError where all are blank."""
        rows = read_text_rows("document", source, options, "text")
        lines, broken = rows.make(lambda row: plain_text_if_any(row, "text"))
        text = options.joined_by.join(_line(line, options.line_ends) for line in lines)
        if not text.strip() and not broken:
            raise UserError("it holds nothing but blanks", where=str(source))
        whole = Prompt(row=1, source=text, segments=(Segment(role="response", text=text),))
        return rows.reading(Reading(items=[whole] if text.strip() else []), broken)


def _line(line: str, ends: bool) -> str:
    bare = line.removesuffix("\n")
    if not bare.strip():
        return ""
    return f"{bare}\n" if ends else bare
