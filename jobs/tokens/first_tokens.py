"""`FirstTokens`: what is kept of a prompt and of its final answer, before its length is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.tokens.chat import TokenRow

_ANSWERERS = ("response", "assistant")
"""Roles of text that a model generates."""


@dataclass(frozen=True, kw_only=True)
class FirstTokens:
    """Most tokens of each part of a prompt."""

    of_prompt: int | None = None
    """Most tokens before the final answer, a BOS and markup included; None: all."""
    of_answer: int | None = None
    """Most tokens of the final answer; None: all. Markup after an answer goes with its last."""

    def cut(self, row: TokenRow, final: int) -> TokenRow:
        """Return the first tokens of a prompt, followed by those of its answer.

        Args:
            row: tokens of the prompt.
            final: number of its last segment.
        """
        answer = [n for n, token in enumerate(row) if token[2] == final and token[1] in _ANSWERERS]
        start, stop = (answer[0], answer[-1] + 1) if answer else (len(row), len(row))
        is_whole = self.of_answer is None or stop - start <= self.of_answer
        return [
            *row[:start][: self.of_prompt],
            *row[start:stop][: self.of_answer],
            *(row[stop:] if is_whole else ()),
        ]


ALL = FirstTokens()
"""Everything."""
