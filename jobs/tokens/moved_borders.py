"""Borders between segments that lie inside of a token, and so move: counted for a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from jobs.text.planned import as_far_as
from jobs.text.prompt_lines import PromptLine
from jobs.text.rows.fault import listed
from jobs.tokens.joining import JoinedIds, join_segments

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BLANKS = "only white space before the border is in it"
"""How a border moves past nothing that is seen."""
TEXT = "letters or signs before the border are in it"
"""How a border moves otherwise."""


def moved_in_prompts(prompts: Sequence[PromptLine], tokenizer: Tokenizer) -> dict[str, list[int]]:
    """Return how borders move -> ids of the prompts; a prompt in one segment has none."""
    several = [prompt for prompt in prompts if len(prompt["segments"]) > 1]
    texts = [[segment["text"] for segment in prompt["segments"]] for prompt in several]
    joined = join_segments(texts, tokenizer)
    return _by_way(
        (prompt["prompt"], each.moved) for prompt, each in zip(several, joined, strict=True)
    )


def moved_in_pairs(
    pairs: Sequence[tuple[int, tuple[str, str, str]]], tokenizer: Tokenizer
) -> dict[str, list[int]]:
    """Return how borders move -> numbers of the pairs.

    Args:
        pairs: number of each, with its prompt, preferred answer, other answer; pairs of one row
            of the source may share a number.
        tokenizer: as `bare` leaves it.
    """
    chosen, rejected = (
        join_segments([(texts[0], texts[side]) for _, texts in pairs], tokenizer) for side in (1, 2)
    )
    return _by_way(
        (number, (*first.moved, *second.moved, *_differing(first, second)))
        for (number, _), first, second in zip(pairs, chosen, rejected, strict=True)
    )


def _differing(chosen: JoinedIds, rejected: JoinedIds) -> tuple[str, ...]:
    """Return a sign of a border that moves because answers change the prompt's last tokens."""
    start = min(chosen.start_of(1), rejected.start_of(1))
    is_moved = chosen.ids[:start] != rejected.ids[:start]
    return ("?",) if is_moved else ()


def _by_way(moves: Iterable[tuple[int, Sequence[str]]]) -> dict[str, list[int]]:
    ways: dict[str, list[int]] = {}
    for number, moved in moves:
        if any(moved):
            ways.setdefault(TEXT if "".join(moved).strip() else BLANKS, []).append(number)
    return ways


def note_on_borders(
    ways: Mapping[str, list[int]], tried: int, total: int, called: str
) -> Sequence[str]:
    """Say in one line how many borders move and how; nothing where none does.

    Args:
        ways: how borders move -> numbers of the texts.
        tried: texts that were looked at.
        total: texts that there are.
        called: what a text is called: `prompt`, `row`.
    """
    count = sum(map(len, ways.values()))
    if not count:
        return ()
    return (
        f"in {count} of {total} {'pairs' if called == 'row' else f'{called}s'} a token reaches "
        f"over a border and counts as what follows{as_far_as(tried, total)} "
        f"({listed(ways, called)})",
    )
