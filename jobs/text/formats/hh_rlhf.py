"""HH-RLHF (Bai et al., arXiv 2204.05862): rows of two transcripts that part in the last answer.

Columns chosen and rejected, each `Human:` and `Assistant:` turns after blank lines.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from jobs.text.dialogue import HUMAN_ASSISTANT, Preference, Turn, pairs_of, prompts_of
from jobs.text.format import Pair, Prompt, Reading
from jobs.text.row_files import Options, read_all_rows
from jobs.text.rows import Faults

_COLUMNS = ("chosen", "rejected")
_MARKER = re.compile("\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def read_pairs(source: Path | None, options: Options) -> Reading[Pair]:
    """The shared turns as prompt, with both last answers; held-out prompts are left out."""
    return pairs_of(_preferences(source, options), HUMAN_ASSISTANT, options.held_out)


def read_prompts(source: Path | None, options: Options) -> Reading[Prompt]:
    """Held-out dialogues (all, where none is held out) in turns, with the chosen answer."""
    return prompts_of(_preferences(source, options), HUMAN_ASSISTANT, options.held_out)


def _preferences(source: Path | None, options: Options) -> Iterator[Preference]:
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


def _turns(transcript: str) -> list[Turn]:
    _, *pieces = _MARKER.split(transcript)
    return [
        Turn(role=_ROLES[speaker], text=text)
        for speaker, text in zip(pieces[::2], pieces[1::2], strict=True)
    ]
