"""A prompt as the messages of a chat, and the answer that it comes with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.errors import UserError

_ANSWERS = ("response", "assistant")
_SPEAKERS = {"prompt": "user", "response": "assistant"}


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What a chat model is asked."""

    prompt: int
    """Its id."""
    group: int
    """Its group, 0 to 19."""
    messages: tuple[Mapping[str, str], ...]
    """`{"role", "content"}` each; none where the prompt is nothing but an answer."""
    reference: str | None
    """The answer that the prompt comes with, which the model does not see."""


def conversation(line: Mapping[str, Any]) -> Conversation:
    """A line of a prompts file; marks of a transcript around what is said are left out."""
    segments = line["segments"]
    answered = bool(segments) and segments[-1]["role"] in _ANSWERS
    asked = segments[:-1] if answered else segments
    return Conversation(
        prompt=int(line["prompt"]),
        group=int(line["group"]),
        messages=tuple(
            {"role": _SPEAKERS.get(each["role"], each["role"]), "content": _said(each)}
            for each in asked
        ),
        reference=_said(segments[-1]) if answered else None,
    )


def _said(segment: Mapping[str, Any]) -> str:
    text: str = segment["text"]
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
