"""HH-RLHF (Bai et al., arXiv 2204.05862): rows of two transcripts that part in the last answer.

Columns chosen and rejected, each `Human:` and `Assistant:` turns after blank lines.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from analysis.long_table.circumstances import Origin
from jobs.text.data_file import Faults
from jobs.text.data_set import RowFileOptions, read_all_rows
from jobs.text.dialogue import HUMAN_ASSISTANT, Preference, pairs_of, prompts_of
from jobs.text.format import Format, Pair, Prompt, Reading, Segment

_COLUMNS = ("chosen", "rejected")
_MARKER = re.compile("\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


class HhRlhf(Format[RowFileOptions]):
    """Dialogues whose last answers people compared."""

    ORIGIN = Origin.COLLECTED
    Options = RowFileOptions

    def read_pairs(self, source: Path | None, options: RowFileOptions) -> Reading[Pair]:
        """Read the shared turns as prompt, with both last answers; leave held-out prompts out."""
        return pairs_of(_preferences(source, options), HUMAN_ASSISTANT, options.held_out)

    def read_prompts(self, source: Path | None, options: RowFileOptions) -> Reading[Prompt]:
        """Read held-out dialogues (all, where none is held out) with the chosen answer."""
        return prompts_of(_preferences(source, options), HUMAN_ASSISTANT, options.held_out)


def _preferences(source: Path | None, options: RowFileOptions) -> Iterator[Preference]:
    rows = read_all_rows("hh-rlhf", source, options, _COLUMNS)
    faults = Faults(source or Path())
    for row in rows:
        for name in _COLUMNS:
            if not _MARKER.match(row.cells[name]):
                faults.add(f"{name!r} does not begin with a turn", row.number)
    faults.raise_if_any()
    for row in rows:
        chosen, rejected = (_turns(row.cells[name]) for name in _COLUMNS)
        yield Preference(row=row.number, chosen=chosen, rejected=rejected)


def _turns(transcript: str) -> list[Segment]:
    _, *pieces = _MARKER.split(transcript)
    return [
        Segment(role=_ROLES[speaker], text=text)
        for speaker, text in zip(pieces[::2], pieces[1::2], strict=True)
    ]
