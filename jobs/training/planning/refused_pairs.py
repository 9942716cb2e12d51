"""Which pairs a model or its chat template will refuse or cut, known before a model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol

from cluster.errors import UserError
from jobs.kind import Upstream
from jobs.text.planned import MOST_TRIED, Planned, as_far_as
from jobs.text.reading import Pair
from jobs.text.rows.fault import listed, row_numbers
from jobs.tokens.moved_borders import moved_in_pairs, note_on_borders
from jobs.tokens.planned_tokenizer import PlannedTokenizer, planned_tokenizer
from jobs.tokens.text_bounds import ANY_LENGTH, may_exceed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from jobs.training.chat_pairs import PairRow
    from jobs.training.tokenized_pairs import DroppedPair

_TRIED_OF_EACH = 50
"""Of more pairs than are all tried, those of each sequence of roles, which decides mostly."""


class ReadsPairs(Protocol):
    """Params of a kind that reads pairs as tokens."""

    @property
    def template(self) -> Literal["none", "chat"]:
        """Whether pairs stand in a chat template."""
        ...

    @property
    def max_dropped(self) -> float:
        """Largest share of the pairs that may be refused."""
        ...

    @property
    def max_length(self) -> int | None:
        """Most tokens of a pair; None: the positions of the model."""
        ...

    @property
    def end_of_text(self) -> bool:
        """Whether answers of plain text get an end of text."""
        ...


def notes_on_pairs(params: ReadsPairs, pairs: Planned[Pair], model: Upstream) -> Sequence[str]:
    """Say which pairs a model or its template refuses, where borders move, and what is cut off.

    Args:
        params: how the pairs are scored.
        pairs: that the job will read.
        model: what the plan knows of the model.

    Raises:
        UserError: the model has no template, or it refuses more pairs than `max_dropped`; or it
            has fewer positions than `max_length`.
    """
    tokenizer = planned_tokenizer(model)
    if tokenizer is None:
        return ()
    from jobs.training.tokenized_pairs import length_limit

    limit = length_limit(tokenizer.max_positions, params.max_length)
    cut = _cuts(pairs, tokenizer, params.template, limit, params.end_of_text)
    if params.template == "none":
        refused = (
            _notes(pairs, tokenizer, params.template, params.max_dropped)
            if tokenizer.is_larger
            else ()
        )
        return (*refused, *_borders(pairs, tokenizer), *cut)
    return (*_notes(pairs, tokenizer, params.template, params.max_dropped), *cut)


@lru_cache(maxsize=256)
def _borders(planned_pairs: Planned[Pair], planned: PlannedTokenizer) -> Sequence[str]:
    first = planned_pairs.first
    if not first.items:
        return ()
    texts = [(pair.row, (pair.prompt, pair.chosen, pair.rejected)) for pair in first.items]
    return note_on_borders(moved_in_pairs(texts, planned.bare()), len(texts), first.count, "row")


@lru_cache(maxsize=256)
def _notes(
    planned_pairs: Planned[Pair], planned: PlannedTokenizer, name: str, max_dropped: float
) -> Sequence[str]:
    shown = planned_pairs.first
    if not shown.items:
        return ()
    from jobs.tokens.chat import (
        chat_template_of,
        no_template,
        note_on_marks,
        notes_on_openings,
    )

    tokenizer, template = planned.load(), None
    if name != "none":
        template = chat_template_of(tokenizer)
        if template is None:
            raise no_template(tokenizer, "the model")
    marks: Sequence[str] = ()
    if template is not None:
        texts = [(pair.row, f"{pair.prompt} {pair.chosen} {pair.rejected}") for pair in shown.items]
        marks = [
            *note_on_marks(tokenizer, template, texts, "row", shown.as_far_as),
            *notes_on_openings(tokenizer, template),
        ]
    pairs = shown.items if shown.count == len(shown.items) else planned_pairs.read()
    refused, num_tried = _refused(pairs, tokenizer, template, planned.num_rows)
    if not refused:
        return marks
    first = refused[0]
    share = len(refused) / len(pairs)
    if share > max_dropped:
        raise UserError(
            _listed(pairs, refused),
            where="pairs" if template is None else "template",
            hint=f"{len(refused)} of {len(pairs)} pairs cannot be used, more than max_dropped "
            f"{max_dropped:g}" + (f"; {first.fault.hint}" if first.fault.hint else ""),
        )
    return (
        *marks,
        f"{len(refused)} of {len(pairs)} pairs are left out{as_far_as(num_tried, len(pairs))}: "
        f"{_listed(pairs, refused)} of the source",
    )


@lru_cache(maxsize=256)
def _cuts(
    planned_pairs: Planned[Pair],
    planned: PlannedTokenizer,
    name: Literal["none", "chat"],
    limit: int,
    end_of_text: bool,
) -> Sequence[str]:
    """Say which pairs lose tokens to keep the longest length."""
    pairs = planned_pairs.first.items
    tried = [number for number, pair in enumerate(pairs) if _may_exceed(limit, pair, name)]
    if not tried:
        return ()
    from jobs.tokens.chat import chat_template_of
    from jobs.training.tokenized_pairs import tokenize_pairs

    tokenizer = planned.load()
    template = None if name == "none" else chat_template_of(tokenizer)
    if (name == "chat" and template is None) or (end_of_text and tokenizer.eos_token_id is None):
        return ()  # of another fault
    rows = [_row(number, pairs[number]) for number in tried]
    tokens = tokenize_pairs(rows, tokenizer, limit, template, end_of_text=end_of_text)
    cut = [pairs[pair.pair].row for pair in tokens.pairs if pair.truncated]
    if not cut:
        return ()
    return (
        f"{len(cut)} of {planned_pairs.first.count} pairs are cut to {limit} tokens"
        f"{planned_pairs.first.as_far_as}, prompts at their beginning and answers at their end "
        f"({row_numbers(cut)} of the source)",
    )


def _may_exceed(limit: int, pair: Pair, name: Literal["none", "chat"]) -> bool:
    sides = (pair.chosen, pair.rejected)
    is_templated = name == "chat"
    return any(may_exceed(limit, (pair.prompt, x), is_templated=is_templated) for x in sides)


def _refused(
    pairs: Sequence[Pair],
    tokenizer: PreTrainedTokenizerFast,
    template: str | None,
    num_rows: int,
) -> tuple[list[DroppedPair], int]:
    """Return the pairs that are refused, and how many were tried."""
    from jobs.training.tokenized_pairs import tokenize_pairs

    refused, num_tried = [], 0
    for members in _by_roles(pairs).values():
        few = members if len(pairs) <= MOST_TRIED else members[:_TRIED_OF_EACH]
        rows = [_row(number, pairs[number]) for number in few]
        tokens = tokenize_pairs(rows, tokenizer, ANY_LENGTH, template, num_rows=num_rows)
        num_tried += len(few)
        refused += tokens.dropped
        if not tokens.pairs:  # what refuses all of these is the sequence of roles
            refused += [replace(tokens.dropped[0], pair=n) for n in members[len(few) :]]
    return sorted(refused, key=lambda pair: pair.pair), num_tried


def _by_roles(pairs: Sequence[Pair]) -> dict[tuple[str, ...], list[int]]:
    """Return sequence of roles -> numbers of the pairs that have it."""
    numbers: dict[tuple[str, ...], list[int]] = {}
    for number, pair in enumerate(pairs):
        numbers.setdefault(tuple(turn.role for turn in pair.turns), []).append(number)
    return numbers


def _row(number: int, pair: Pair) -> PairRow:
    return {
        "pair": number,
        "prompt": pair.prompt,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "split": "",
        "turns": [{"role": turn.role, "text": turn.parts[1]} for turn in pair.turns],
    }


def _listed(pairs: Sequence[Pair], refused: Sequence[DroppedPair]) -> str:
    """Write the reasons with rows of the source."""
    rows: dict[str, list[int]] = {}
    for dropped in refused:
        rows.setdefault(dropped.reason, []).append(pairs[dropped.pair].row)
    return listed(rows)
