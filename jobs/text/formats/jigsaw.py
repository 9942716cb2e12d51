"""Comments with labels from people: the toxic comment challenge of Jigsaw, and tables like it.

Columns `comment_text`, and a column for every label, 1 or 0 (or a share of the judges). A comment
is toxic where any of the labels that count is at least `threshold`.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from analysis.long_table.circumstances import Origin
from jobs.text.data_set import read_all_rows
from jobs.text.example_texts import openings_with_ends
from jobs.text.format import Format
from jobs.text.messages_as_text import plain_text
from jobs.text.reading import Labelled, Reading
from jobs.text.row_options import RowOptions
from jobs.text.rows.cell import is_nothing
from jobs.text.rows.fault import RowFault
from jobs.text.rows.table import Row

_TEXT = "comment_text"


class JigsawOptions(RowOptions):
    """The labels that count."""

    labels: tuple[str, ...] = Field(
        ("toxic",), min_length=1, description="columns of labels: any of them makes a text toxic"
    )
    threshold: float = Field(0.5, gt=0, le=1, description="least value of a label that counts")


class Jigsaw(Format[JigsawOptions]):
    """Comments that people labelled."""

    ORIGIN = Origin.COLLECTED
    Options = JigsawOptions

    def example_rows(self, options: JigsawOptions) -> Sequence[Mapping[str, object]]:
        """Return comments, every other of them with all labels."""
        texts = [
            opening + (rude, decent)[row % 2]
            for row, (opening, decent, rude) in enumerate(openings_with_ends())
        ]
        return [
            {_TEXT: text, **dict.fromkeys(options.labels, 1 - row % 2)}
            for row, text in enumerate(texts)
        ]

    def read_labelled(self, source: Path | None, options: JigsawOptions) -> Reading[Labelled]:
        """Read every comment with its label."""
        rows = read_all_rows("jigsaw", source, options, (_TEXT, *options.labels))
        texts, broken = rows.make(lambda row: _labelled(row, options))
        return rows.reading(Reading(items=texts), broken)


def _labelled(row: Row, options: JigsawOptions) -> Labelled:
    values = [_label(row, name) for name in options.labels]
    return Labelled(
        row=row.number, text=plain_text(row, _TEXT), toxic=max(values) >= options.threshold
    )


def _label(row: Row, name: str) -> float:
    cell = row.cell(name)
    if not is_nothing(cell):
        try:
            value = float(cell)
        except (TypeError, ValueError):
            value = math.nan
        if 0 <= value <= 1:
            return value
    raise RowFault(f"{name!r} is no label from 0 to 1")
