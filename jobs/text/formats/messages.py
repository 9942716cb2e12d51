"""Preference pairs as chat messages: columns chosen and rejected, lists of {role, content}.

Each is a whole conversation, or the answer to the messages in a column prompt or conversations, or
to a text in a column prompt; ShareGPT's {from, value} and lists that became text are read, too. A
column system is the first turn. Turns become text behind markers, as base models read dialogues.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import Field

from analysis.long_table.circumstances import Origin
from jobs.text.chat_messages import messages_of
from jobs.text.column_check import ALSO_PROMPTS, like, of_another_name
from jobs.text.data_set import SourceRows, read_all_rows
from jobs.text.dialogue import HUMAN_ASSISTANT, Markers, Preference, pairs_of, prompts_of
from jobs.text.example_texts import openings_with_ends
from jobs.text.format import Format
from jobs.text.messages_as_text import messages_in
from jobs.text.reading import Dropped, Pair, Prompt, Reading, Segment
from jobs.text.row_options import PairRowOptions
from jobs.text.rows.cell import is_nothing, optional_text, text_cell
from jobs.text.rows.fault import RowFault, row_numbers
from jobs.text.rows.table import Row
from jobs.text.transcripts import note_of_transcripts

_SIDES = ("chosen", "rejected")
_BEFORE = ("prompt", "conversations", "conversation")
_QUESTION = ("prompt", "question")
_SYSTEM = ("system", "system_prompt")
_ROLES = tuple(HUMAN_ASSISTANT)
_PARTS = ("reasoning_content", "reasoning", "thinking", "thought", "images", "audio")
"""What messages have beside their content, and a chat template may print."""


class MessagesOptions(PairRowOptions):
    """Options of the format: what stands before each turn, and a space after it."""

    system: str = Field(HUMAN_ASSISTANT["system"], description="before what the system says")
    user: str = Field(HUMAN_ASSISTANT["user"], description="before what the user says")
    assistant: str = Field(
        HUMAN_ASSISTANT["assistant"],
        description="before an answer; all three empty where a chat template marks the turns",
    )

    @property
    def markers(self) -> Markers:
        """Marker of each role."""
        return {role: getattr(self, role) for role in _ROLES}


class Messages(Format[MessagesOptions]):
    """Chat messages of a source outside."""

    ORIGIN = Origin.COLLECTED
    VERSION = 2
    Options = MessagesOptions

    def example_rows(self, options: MessagesOptions) -> Sequence[Mapping[str, object]]:
        """Return dialogues of two turns that part in the last answer."""
        return [
            {side: _example(opening, (rude, decent)[side == "chosen"]) for side in _SIDES}
            for opening, decent, rude in openings_with_ends()
        ]

    def read_pairs(self, source: Path | None, options: MessagesOptions) -> Reading[Pair]:
        """Read the shared turns as prompt, with both last answers; leave held-out prompts out."""
        rows, preferences, broken = _preferences(source, options)
        return rows.reading(pairs_of(preferences, options.markers, options.held_out), broken)

    def read_prompts(self, source: Path | None, options: MessagesOptions) -> Reading[Prompt]:
        """Read held-out dialogues (all, where none is held out) with the chosen answer."""
        rows, preferences, broken = _preferences(source, options)
        return rows.reading(prompts_of(preferences, options.markers, options.held_out), broken)


def _preferences(
    source: Path | None, options: MessagesOptions
) -> tuple[SourceRows, list[Preference], list[Dropped]]:
    rows = read_all_rows(
        "messages", source, options, _SIDES, optional=[(*_BEFORE, *_QUESTION), _SYSTEM]
    )
    preferences, broken = rows.make(_preference)
    _refuse_unread_prompts(source, rows, preferences)
    answers = [(each.chosen[-1].text, each.rejected[-1].text) for each in preferences]
    noted = rows.noting(note_of_transcripts(answers, source)).noting(_note_of_unread_parts(rows))
    return noted, preferences, broken


def _note_of_unread_parts(rows: SourceRows) -> str | None:
    """Say in which rows messages have parts beside what is said, such as thoughts, if any do."""
    found: dict[str, list[int]] = {}
    for row in rows.rows:
        for name in _SIDES:
            messages = row.cell(name)
            for message in messages if isinstance(messages, list) else ():
                for part in _PARTS if isinstance(message, Mapping) else ():
                    if message.get(part):
                        found.setdefault(part, []).append(row.number)
    if not found:
        return None
    parts = " and ".join(f"{part!r} ({row_numbers(at)})" for part, at in found.items())
    return f"of messages nothing reads {parts}: put it into their content if it is to be learned"


def _refuse_unread_prompts(
    source: Path | None, rows: SourceRows, preferences: Sequence[Preference]
) -> None:
    """Raise UserError where no user says anything, and a column that nothing reads might be it."""
    if any(name in row.cells for row in rows.rows for name in (*_BEFORE, *_QUESTION)):
        return
    if any(turn.role == "user" for each in preferences for turn in each.chosen):
        return
    other = like(rows.unused_columns, ALSO_PROMPTS)
    if other is not None:
        raise of_another_name(source, "prompt", other)


def _preference(row: Row) -> Preference:
    before = _turns_before(row)
    sides = [_side(row, name, before) for name in _SIDES]
    repeated = {_num_repeated(side, before) for side in sides}
    if len(repeated) == 1:
        before = before[: len(before) - repeated.pop()]
    if not any(turn.role == "user" for turn in [*before, *sides[0], *sides[1]]):
        before = [*before, *_question(row)]
    if any(_system_of(side) for side in sides):
        before = before if _said(before) else []
    elif not _system_of(before):
        before = [*_system(row), *before]
    chosen, rejected = ([_spaced(turn) for turn in (*before, *side)] for side in sides)
    return Preference(row=row.number, chosen=chosen, rejected=rejected)


def _turns_before(row: Row) -> list[Segment]:
    """Return the messages before the answers, where a column of its own has them."""
    for name in _BEFORE:
        value = _cell(row, name)
        # Any text that is no list repeats the first message, or is it.
        if not isinstance(value, str) and not is_nothing(value):
            return messages_of(value, repr(name))
    return []


def _side(row: Row, name: str, before: list[Segment]) -> list[Segment]:
    """Return the turns of a side: its messages, or its text where the turns before it are known."""
    value = _cell(row, name)
    is_text = isinstance(value, str)
    if is_text and value.strip() and (before or _question(row)):
        return [Segment(role="assistant", text=text_cell(row, name))]
    turns = messages_of(value, repr(name)) if not is_text or value.strip() else []
    if not turns:
        raise RowFault(f"{name!r} is empty")
    return turns


def _cell(row: Row, name: str) -> Any:
    """Return a cell, a list of messages that became text as the list. Raises as `messages_in`."""
    value = row.cell(name)
    messages = messages_in(value, repr(name)) if isinstance(value, str) else None
    return value if messages is None else messages


def _num_repeated(side: list[Segment], before: list[Segment]) -> int:
    """Count the last turns before a side that it says once more before it goes on.

    What the system says, and white space, may differ.
    """
    said, said_before = _said(side), _said(before)
    return next(
        (
            number
            for number in range(min(len(said_before), len(said) - 1), 0, -1)
            if said[:number] == said_before[-number:]
        ),
        0,
    )


def _said(turns: list[Segment]) -> list[tuple[str, str]]:
    """Return speakers and words of the turns behind the system's."""
    return [(turn.role, " ".join(turn.text.split())) for turn in turns[len(_system_of(turns)) :]]


def _system_of(turns: list[Segment]) -> list[Segment]:
    """Return the turns of the system that others begin with."""
    return [*takewhile(lambda turn: turn.role == "system", turns)]


def _question(row: Row) -> list[Segment]:
    """Return a prompt of plain text as a turn of the user."""
    for name in _QUESTION:
        value = _cell(row, name)
        if isinstance(value, str) and value.strip():
            return [Segment(role="user", text=text_cell(row, name))]
    return []


def _system(row: Row) -> list[Segment]:
    for name in _SYSTEM:
        text = optional_text(row, name)
        if text and text.strip():
            return [Segment(role="system", text=text)]
    return []


def _spaced(turn: Segment) -> Segment:
    return Segment(role=turn.role, text=f" {turn.text}")


def _example(opening: str, answer: str) -> list[dict[str, str]]:
    says = (("user", opening), ("assistant", "so"), ("user", f"{opening} ?"), ("assistant", answer))
    return [{"role": role, "content": text.strip()} for role, text in says]
