"""Lines of `prompts.jsonl`: a prompt in its transform; and the same with its words out of order."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from cluster.errors import UserError
from jobs.text.buckets import bucket, group_of
from jobs.text.reading import Prompt, Segment
from jobs.text.transform import Chain

PROMPTS = "prompts.jsonl"
"""The prompts."""
SHUFFLED = "shuffled.jsonl"
"""The same ids, their words out of order: what the decode control holds the prompts against."""
_ANSWERS = frozenset({"response", "assistant", "system"})
"""Roles whose words are no request."""
_PLAIN = ("prompt", "response")
"""Roles of prompts that are no dialogues."""
ANSWERERS = ("response", "assistant")
"""Roles of text that a model generates."""
CHAT_ROLES = {"prompt": "user", "response": "assistant"}
"""Chat role of each segment of a plain prompt; a dialogue names chat roles itself."""


class SegmentLine(TypedDict):
    """A segment of a prompt."""

    role: str
    """Its speaker."""
    text: str
    """Its text, transformed."""
    said: NotRequired[list[int]]
    """Of a turn: start and end, in the text, of the words without a transcript's marks."""


class PromptLine(TypedDict):
    """A line of the file."""

    prompt: int
    """Id, from 0."""
    group: int
    """Group, 0 to 19."""
    segments: list[SegmentLine]
    """Its pieces in order."""


def as_segment(line: SegmentLine) -> Segment:
    """Return a piece of a prompt with the place of its words.

    Raises:
        UserError: it is a turn that does not say where its words are.
    """
    if line["role"] in _PLAIN:
        return Segment(role=line["role"], text=line["text"])
    if "said" not in line:
        raise UserError(
            "these dialogues do not say where their turns begin: an older version made them",
            where="prompts",
            hint="make them again on a new root",
        )
    start, end = line["said"]
    return Segment(role=line["role"], text=line["text"], payload=(start, end))


def without_marks(line: SegmentLine) -> str:
    """Return what a segment says, without a transcript's marks around a turn (`as_segment`)."""
    return as_segment(line).parts[1]


def turns_of(lines: Sequence[SegmentLine]) -> tuple[Segment, ...]:
    """Return the turns of a dialogue; nothing of a prompt that is none (`as_segment`)."""
    return tuple(as_segment(line) for line in lines if line["role"] not in _PLAIN)


def plain_line(number: int, group: int, prompt: str, response: str) -> PromptLine:
    """Write a prompt and its answer as they are."""
    segments: list[SegmentLine] = [
        {"role": "prompt", "text": prompt},
        {"role": "response", "text": response},
    ]
    return {"prompt": number, "group": group, "segments": segments}


def prompt_line(
    number: int, prompt: Prompt, transform: Chain, seed: int, *, shuffled: bool = False
) -> PromptLine:
    """Write one prompt, its segments transformed each by itself.

    Args:
        number: its id.
        prompt: as the format read it.
        transform: applied to each segment.
        seed: seed of random transforms.
        shuffled: put the words of each segment out of order first, the transform's draws unchanged.
    """
    return {
        "prompt": number,
        "group": group_of(prompt.source),
        "segments": [
            _transform(
                segment, transform, bucket(f"{seed}/{place}/{prompt.source}", 1 << 63), shuffled
            )
            for place, segment in enumerate(prompt.segments)
        ],
    }


def _transform(segment: Segment, transform: Chain, seed: int, shuffled: bool) -> SegmentLine:
    before, words, after = segment.parts
    if shuffled:
        words = _shuffle_words(words, seed)
    apply = transform.apply_to_answer if segment.role in _ANSWERS else transform.apply
    words = apply(words, seed)
    line = SegmentLine(role=segment.role, text=before + words + after)
    if segment.role not in _PLAIN:
        line["said"] = [len(before), len(before) + len(words)]
    return line


def _shuffle_words(text: str, seed: int) -> str:
    """Put the words into a drawn order; the space between them stays where it is."""
    pieces = re.split(r"(\s+)", text)
    places = [place for place in range(0, len(pieces), 2) if pieces[place]]
    drawn = random.Random(seed).sample(places, len(places))
    moved = dict(zip(places, drawn, strict=True))
    return "".join(pieces[moved.get(place, place)] for place in range(len(pieces)))


def read_prompts(path: Path) -> list[PromptLine]:
    """Read the lines of a prompts file."""
    with open(path, encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]
