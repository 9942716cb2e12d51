"""Preference pairs as chat messages: columns chosen and rejected, lists of {role, content}.

Each is a whole conversation, or the answer to the messages in a column prompt. Turns become text
behind markers, as base models read dialogues.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from jobs.text import row_files
from jobs.text.dialogue import HUMAN_ASSISTANT, Markers, Preference, Turn, pairs_of, prompts_of
from jobs.text.format import Pair, Prompt, Reading
from jobs.text.rows import Faults, Row

_COLUMNS = ("chosen", "rejected")
_ROLES = tuple(HUMAN_ASSISTANT)


class Options(row_files.Options):
    """Options of the format: what stands before each turn, and a space after it."""

    system: str = Field(HUMAN_ASSISTANT["system"], description="before what the system says")
    user: str = Field(HUMAN_ASSISTANT["user"], description="before what the user says")
    assistant: str = Field(
        HUMAN_ASSISTANT["assistant"],
        description="before an answer; all three empty where a chat template marks the turns",
    )

    @property
    def markers(self) -> Markers:
        """Role -> marker."""
        return {role: getattr(self, role) for role in _ROLES}


def read_pairs(source: Path | None, options: Options) -> Reading[Pair]:
    """The shared turns as prompt, with both last answers; held-out prompts are left out."""
    return pairs_of(_preferences(source, options), options.markers, options.held_out)


def read_prompts(source: Path | None, options: Options) -> Reading[Prompt]:
    """Held-out dialogues (all, where none is held out) in turns, with the chosen answer."""
    return prompts_of(_preferences(source, options), options.markers, options.held_out)


def _preferences(source: Path | None, options: Options) -> Iterator[Preference]:
    rows = row_files.read_all_rows("messages", source, options, _COLUMNS, lists=True)
    faults = Faults(source or Path())
    for row in rows:
        for name in _COLUMNS:
            for fault in _faults(row.cells[name], name):
                faults.add(fault, row.number)
        for fault in _faults(_asked(row), "prompt"):
            faults.add(fault, row.number)
    faults.raise_if_any()
    for row in rows:
        asked = _turns(_asked(row))
        chosen, rejected = (asked + _turns(row.cells[name]) for name in _COLUMNS)
        yield Preference(row=row.number, chosen=chosen, rejected=rejected)


def _asked(row: Row) -> list[Any]:
    """Messages of a column prompt. A text there is the first message again, and of no use."""
    prompt = row.cells.get("prompt")
    return prompt if isinstance(prompt, list) else []


def _faults(messages: list[Any], name: str) -> Iterator[str]:
    for message in messages:
        if not (isinstance(message, Mapping) and isinstance(message.get("content"), str)):
            yield f"{name!r} is not a list of {{role, content}}"
            return
        if message.get("role") not in _ROLES:
            yield f"{name!r} has a role {message.get('role')!r} (known: {', '.join(_ROLES)})"
            return


def _turns(messages: list[Any]) -> list[Turn]:
    return [Turn(role=each["role"], text=f" {each['content']}") for each in messages]
