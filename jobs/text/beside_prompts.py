"""What a data file holds beside the columns that a format reads, and may belong to the prompt.

A system's words, Alpaca's `input`, what was said before: left out, the question is another one. So
is a split that the rows name themselves: rows of all splits are read.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.text.reading import Pair
from jobs.text.repeated_prompts import is_repeated
from jobs.text.rows.fault import row_numbers

_OF_PROMPTS = frozenset(
    {"input", "system", "system_prompt", "system_message", "history", "context", "passage"}
)
"""Names of columns whose texts stand before a question, or in it."""
_OF_SPLITS = frozenset({"split", "partition", "fold", "subset", "is_test", "is_train"})
_TENTH = 0.1
_HALF = 0.5
_FEWEST_CHARACTERS = 8
"""Characters of a prompt from which an answer that holds it does so by no accident."""


def notes_on_unread_columns(unread: Sequence[str]) -> list[str]:
    """Say which columns that nothing reads may belong to the prompt, or divide the rows.

    Args:
        unread: columns of a source that nothing reads.
    """
    prompts = [name for name in unread if name.strip().lower() in _OF_PROMPTS]
    splits = [name for name in unread if name.strip().lower() in _OF_SPLITS]
    notes = []
    if prompts:
        notes.append(
            f"nothing reads {_either(prompts)}: if it belongs to the prompt, join it to that first"
        )
    if splits:
        notes.append(
            f"nothing reads {_either(splits)}: rows of all its values are taken; write a file for "
            "each, if only some are meant"
        )
    return notes


def notes_on_some_repeats(pairs: Sequence[Pair]) -> list[str]:
    """Say in which rows both sides begin with the prompt; where nearly all do, it is taken off.

    Args:
        pairs: as they were read.
    """
    rows = [p.row for p in pairs if not p.turns and is_repeated(p.prompt, (p.chosen, p.rejected))]
    if len(rows) < max(1, _TENTH * len(pairs)):
        return []
    return [
        f"both sides begin with their prompt in {row_numbers(rows)}, and not in nearly all: it is "
        "left there, and would be learned twice"
    ]


def note_on_held_prompts(pairs: Sequence[Pair]) -> list[str]:
    """Say in which rows both sides hold the prompt behind other words, as transcripts do.

    Args:
        pairs: as they were read.
    """
    rows = [pair.row for pair in pairs if _is_held(pair)]
    if not rows or len(rows) < _HALF * len(pairs):
        return []
    return [
        f"both sides hold their prompt, behind other words, in {row_numbers(rows)}: it would be "
        "learned as part of the answers; a transcript is read as a list of {role, content}, by "
        "format `messages`"
    ]


def _is_held(pair: Pair) -> bool:
    said = pair.prompt.strip()
    sides = pair.chosen.strip(), pair.rejected.strip()
    return (
        not pair.turns
        and len(said) >= _FEWEST_CHARACTERS
        and all(side.find(said) > 0 for side in sides)
    )


def _either(names: Sequence[str]) -> str:
    return " or ".join(repr(name) for name in names)
