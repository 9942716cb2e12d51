"""HH-RLHF (Bai et al., arXiv 2204.05862): rows of two transcripts that part in the last answer.

Columns chosen and rejected, each `Human:` and `Assistant:` turns after blank lines.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.long_table.circumstances import Origin
from jobs.text.data_set import SourceRows, read_all_rows
from jobs.text.dialogue import HUMAN_ASSISTANT, Preference, pairs_of, prompts_of
from jobs.text.example_texts import openings_with_ends
from jobs.text.format import Format
from jobs.text.reading import Dropped, Pair, Prompt, Reading, Segment
from jobs.text.row_options import PairRowOptions
from jobs.text.rows.cell import text_cell
from jobs.text.rows.fault import RowFault
from jobs.text.rows.table import Row

_COLUMNS = ("chosen", "rejected")
_MARKER = re.compile("\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


class HhRlhf(Format[PairRowOptions]):
    """Dialogues whose last answers people compared."""

    ORIGIN = Origin.COLLECTED
    VERSION = 2
    Options = PairRowOptions

    def example_rows(self, options: PairRowOptions) -> Sequence[Mapping[str, object]]:
        """Return transcripts of one turn each."""
        return [
            {
                side: f"\n\nHuman: {opening}\n\nAssistant:{end}"
                for side, end in zip(_COLUMNS, ends, strict=True)
            }
            for opening, *ends in openings_with_ends()
        ]

    def read_pairs(self, source: Path | None, options: PairRowOptions) -> Reading[Pair]:
        """Read the shared turns as prompt, with both last answers; leave held-out prompts out."""
        rows, preferences, broken = _preferences(source, options)
        return rows.reading(pairs_of(preferences, HUMAN_ASSISTANT, options.held_out), broken)

    def read_prompts(self, source: Path | None, options: PairRowOptions) -> Reading[Prompt]:
        """Read held-out dialogues (all, where none is held out) with the chosen answer."""
        rows, preferences, broken = _preferences(source, options)
        return rows.reading(prompts_of(preferences, HUMAN_ASSISTANT, options.held_out), broken)


def _preferences(
    source: Path | None, options: PairRowOptions
) -> tuple[SourceRows, list[Preference], list[Dropped]]:
    rows = read_all_rows("hh-rlhf", source, options, _COLUMNS)
    preferences, broken = rows.make(_preference)
    return rows, preferences, broken


def _preference(row: Row) -> Preference:
    chosen, rejected = (_turns(row, name) for name in _COLUMNS)
    return Preference(row=row.number, chosen=chosen, rejected=rejected)


def _turns(row: Row, name: str) -> list[Segment]:
    transcript = text_cell(row, name)
    if transcript.startswith("\r\n"):
        transcript = transcript.replace("\r\n", "\n")
    if not _MARKER.match(transcript):
        raise RowFault(
            "without two line breaks and `Human:` or `Assistant:` at its start, "
            f"{name!r} does not begin with a turn"
        )
    _, *pieces = _MARKER.split(transcript)
    return [
        Segment(role=_ROLES[speaker], text=text)
        for speaker, text in zip(pieces[::2], pieces[1::2], strict=True)
    ]
