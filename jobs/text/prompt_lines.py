"""Lines of `prompts.jsonl`: a prompt in its transform; and the same with its words out of order."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.text.format import Prompt, Segment, bucket, group_of
from jobs.text.transform import Chain

if TYPE_CHECKING:
    pass

PROMPTS = "prompts.jsonl"
"""The prompts."""
SHUFFLED = "shuffled.jsonl"
"""The same ids, their words out of order: what the decode control holds the prompts against."""
_ANSWERS = frozenset({"response", "assistant", "system"})
"""Roles whose words are nobody's request."""
_PLAIN = ("prompt", "response")
"""Roles of prompts that are no dialogues."""


def prompt_line(
    number: int, prompt: Prompt, transform: Chain, seed: int, *, shuffled: bool = False
) -> dict[str, Any]:
    """One prompt, its segments transformed each by itself.

    Args:
        number: its id.
        prompt: as the format read it.
        transform: what is done to it.
        seed: seed of random transforms.
        shuffled: put the words of each segment out of order first, the transform's draws unchanged.
    """
    return {
        "prompt": number,
        "group": group_of(prompt.source),
        "segments": [
            _transformed(
                segment, transform, bucket(f"{seed}/{place}/{prompt.source}", 1 << 63), shuffled
            )
            for place, segment in enumerate(prompt.segments)
        ],
    }


def _transformed(
    segment: Segment, transform: Chain, seed: int, shuffled: bool
) -> dict[str, str | list[int]]:
    """Role and text; of a turn, where in the text what is said stands, too."""
    start, end = segment.payload or (0, len(segment.text))
    said = segment.text[start:end]
    if shuffled:
        said = _out_of_order(said, seed)
    apply = transform.apply_to_answer if segment.role in _ANSWERS else transform.apply
    said = apply(said, seed)
    line: dict[str, str | list[int]] = {
        "role": segment.role,
        "text": segment.text[:start] + said + segment.text[end:],
    }
    return line if segment.role in _PLAIN else {**line, "said": [start, start + len(said)]}


def _out_of_order(text: str, seed: int) -> str:
    """The same words in a drawn order; what stands between them stays where it is."""
    pieces = re.split(r"(\s+)", text)
    places = [place for place in range(0, len(pieces), 2) if pieces[place]]
    drawn = random.Random(seed).sample(places, len(places))
    moved = dict(zip(places, drawn, strict=True))
    return "".join(pieces[moved.get(place, place)] for place in range(len(pieces)))


def read_prompts(path: Path) -> list[dict[str, Any]]:
    """The lines of a prompts file."""
    with open(path, encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]
