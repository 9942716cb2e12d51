"""Texts in several segments as the ids of the whole text, and the segment of every token.

A segment tokenised alone gets tokens that no model saw in running text: SentencePiece puts a blank
before it, and words, digits and blanks are cut where the segment ends. So a text is tokenised once,
and each token belongs to the segment that holds its last character. A token that holds text of both
sides of a border belongs to what follows: a position before the border sees nothing from behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase


PairIds = tuple[list[int], tuple[list[int], list[int]]]
"""Tokens of a pair before its answers, and of both answers, the preferred one first."""


@dataclass(frozen=True, kw_only=True)
class JoinedIds:
    """The tokens of one text that was given in segments."""

    ids: list[int]
    """Token ids of the whole text, without a BOS."""
    segments: list[int]
    """Number of the segment of each token, ascending."""
    moved: tuple[str, ...]
    """For each border between segments, the text before it that is in a token of what follows."""

    def start_of(self, segment: int) -> int:
        """Return the index of the first token of a segment; the number of tokens without one."""
        return next((at for at, each in enumerate(self.segments) if each >= segment), len(self.ids))


def bare_tokenizer(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return a tokenizer's backend without BOS, padding and truncation; see `bare`."""
    from tokenizers import Tokenizer

    backend = bare(Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()))
    backend.encode_special_tokens = tokenizer.backend_tokenizer.encode_special_tokens
    return backend


def bare(tokenizer: Tokenizer) -> Tokenizer:
    """Take BOS, padding and truncation from a tokenizer, in place; its offsets cover all text.

    GPT-2's post-processor cuts white space from offsets, so that a space would belong to nothing.
    """
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.post_processor = None
    return tokenizer


def join_segments(texts: Sequence[Sequence[str]], tokenizer: Tokenizer) -> list[JoinedIds]:
    """Tokenise texts as wholes.

    Args:
        texts: the segments of each text, in order.
        tokenizer: as `bare` leaves it. One of whole words has no pieces that a border could change,
            and what is no word of it ends where a segment does.
    """
    from tokenizers.models import WordLevel

    if isinstance(tokenizer.model, WordLevel):
        return _apart(texts, tokenizer)
    encodings = tokenizer.encode_batch(["".join(text) for text in texts], add_special_tokens=False)
    return [
        _joined(text, encoding.ids, encoding.offsets)
        for text, encoding in zip(texts, encodings, strict=True)
    ]


def _joined(text: Sequence[str], ids: list[int], offsets: Sequence[tuple[int, int]]) -> JoinedIds:
    borders = list(accumulate(map(len, text)))[:-1]
    whole = "".join(text)
    moved = [""] * len(borders)
    segments, number = [], 0
    for start, end in offsets:
        # A tokenizer may put in a token that stands for no character.
        last = max(start, end - 1)
        while number < len(borders) and borders[number] <= last:
            if start < borders[number]:
                moved[number] = whole[start : borders[number]]
            number += 1
        segments.append(number)
    return JoinedIds(ids=ids, segments=segments, moved=tuple(moved))


def _apart(texts: Sequence[Sequence[str]], tokenizer: Tokenizer) -> list[JoinedIds]:
    pieces = [piece for text in texts for piece in text]
    encodings = iter(tokenizer.encode_batch(pieces, add_special_tokens=False))
    joined = []
    for text in texts:
        rows = [next(encodings).ids for _ in text]
        joined.append(
            JoinedIds(
                ids=[token for row in rows for token in row],
                segments=[number for number, row in enumerate(rows) for _ in row],
                moved=("",) * (len(text) - 1),
            )
        )
    return joined


def join_pairs(pairs: Sequence[tuple[str, str, str]], tokenizer: Tokenizer) -> list[PairIds]:
    """Tokenise each (prompt, preferred answer, other answer) as two whole texts, and part them.

    Args:
        pairs: the texts.
        tokenizer: as `bare` leaves it.
    """
    sides = [join_segments([(pair[0], pair[side]) for pair in pairs], tokenizer) for side in (1, 2)]
    return [
        part_at(
            (chosen.ids, rejected.ids),
            # An answer without a character has no token, even where one of the prompt protrudes.
            (chosen.start_of(1), rejected.start_of(1)),
        )
        for chosen, rejected in zip(*sides, strict=True)
    ]


def part_at(ids: tuple[list[int], list[int]], starts: tuple[int, int]) -> PairIds:
    """Part both sides of a pair where they have the same tokens before the answers.

    A blank before an answer may be in the answer's first token on one side and a token of its own
    on the other: then it is the answer's on both.

    Args:
        ids: tokens of both sides.
        starts: index of the first token of each side's answer.
    """
    answers = ids[0][starts[0] :], ids[1][starts[1] :]
    if not all(answers):
        return ids[0][: starts[0]], answers
    start = min(starts)
    while ids[0][:start] != ids[1][:start]:
        start -= 1
    return ids[0][:start], (ids[0][start:], ids[1][start:])
