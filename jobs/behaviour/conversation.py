"""`Conversation`: a prompt as the messages of a chat, and the answer that it comes with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.errors import UserError

if TYPE_CHECKING:
    from jobs.text.prompt_lines import PromptLine, SegmentLine

_ANSWERS = ("response", "assistant")
_SPEAKERS = {"prompt": "user", "response": "assistant"}


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """The messages that a chat model is sent."""

    prompt: int
    """Id of the prompt."""
    group: int
    """Its group, 0 to 19."""
    messages: tuple[Mapping[str, str], ...]
    """`{"role", "content"}` each; none where the prompt is nothing but an answer."""
    reference: str | None
    """The answer that the prompt comes with, which the model does not see."""


def conversation_of(line: PromptLine) -> Conversation:
    """Read a line of a prompts file; a transcript's marks around each turn are left out."""
    segments = line["segments"]
    answered = bool(segments) and segments[-1]["role"] in _ANSWERS
    requests = segments[:-1] if answered else segments
    return Conversation(
        prompt=int(line["prompt"]),
        group=int(line["group"]),
        messages=tuple(
            {
                "role": _SPEAKERS.get(segment["role"], segment["role"]),
                "content": _without_marks(segment),
            }
            for segment in requests
        ),
        reference=_without_marks(segments[-1]) if answered else None,
    )


def _without_marks(segment: SegmentLine) -> str:
    text = segment["text"]
    if segment["role"] in ("prompt", "response"):
        return text
    if "said" not in segment:
        raise UserError(
            "these dialogues do not say where their turns begin: an older version made them",
            where="prompts",
            hint="make them again on a new root",
        )
    start, end = segment["said"]
    return text[start:end]
