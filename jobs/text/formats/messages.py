"""Preference pairs as chat messages: columns chosen and rejected, lists of {role, content}.

Each is a whole conversation, or the answer to the messages in a column prompt. Turns become text
behind markers, as base models read dialogues.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from pydantic import Field

from analysis.long_table.circumstances import Origin
from jobs.text.data_file import Faults, Row
from jobs.text.data_set import RowFileOptions, read_all_rows
from jobs.text.dialogue import HUMAN_ASSISTANT, Markers, Preference, pairs_of, prompts_of
from jobs.text.format import Format, Pair, Prompt, Reading, Segment

_COLUMNS = ("chosen", "rejected")
_ROLES = tuple(HUMAN_ASSISTANT)


class MessagesOptions(RowFileOptions):
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
    Options = MessagesOptions

    def read_pairs(self, source: Path | None, options: MessagesOptions) -> Reading[Pair]:
        """Read the shared turns as prompt, with both last answers; leave held-out prompts out."""
        return pairs_of(_preferences(source, options), options.markers, options.held_out)

    def read_prompts(self, source: Path | None, options: MessagesOptions) -> Reading[Prompt]:
        """Read held-out dialogues (all, where none is held out) with the chosen answer."""
        return prompts_of(_preferences(source, options), options.markers, options.held_out)


def _preferences(source: Path | None, options: MessagesOptions) -> Iterator[Preference]:
    rows = read_all_rows("messages", source, options, _COLUMNS, lists=True)
    faults = Faults(source or Path())
    for row in rows:
        for name in _COLUMNS:
            for fault in _faults(row.cells[name], name):
                faults.add(fault, row.number)
        for fault in _faults(_messages_before(row), "prompt"):
            faults.add(fault, row.number)
    faults.raise_if_any()
    for row in rows:
        prompt = _turns(_messages_before(row))
        chosen, rejected = (prompt + _turns(row.cells[name]) for name in _COLUMNS)
        yield Preference(row=row.number, chosen=chosen, rejected=rejected)


def _messages_before(row: Row) -> list[object]:
    """Return the messages of a column prompt; a text there only repeats the first message."""
    prompt = row.cells.get("prompt")
    return prompt if isinstance(prompt, list) else []


def _faults(messages: list[object], name: str) -> Iterator[str]:
    for message in messages:
        if not (isinstance(message, Mapping) and isinstance(message.get("content"), str)):
            yield f"{name!r} is not a list of {{role, content}}"
            return
        if message.get("role") not in _ROLES:
            yield f"{name!r} has a role {message.get('role')!r} (allowed: {', '.join(_ROLES)})"
            return


def _turns(messages: list[object]) -> list[Segment]:
    checked = cast(list[Mapping[str, str]], messages)
    return [Segment(role=message["role"], text=f" {message['content']}") for message in checked]
