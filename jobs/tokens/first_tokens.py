"""`FirstTokens`: what is kept of a prompt and of its final answer, before its length is judged.

And how much of the answer is given: the first tokens of an answer may stand as a begun reply that
both models read, as if they had said so themselves; what follows is their answer then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.text.prompt_lines import ANSWERERS

if TYPE_CHECKING:
    from jobs.tokens.chat import TokenRow


@dataclass(frozen=True, kw_only=True)
class FirstTokens:
    """Most tokens of each part of a prompt."""

    of_prompt: int | None = None
    """Most tokens before the final answer, a BOS and markup included; None: all."""
    of_answer: int | None = None
    """Most tokens of the final answer; None: all. Markup after an answer goes with its last."""
    begun: int = 0
    """Tokens of the final answer that stand as a begun reply."""

    def cut(self, row: TokenRow, final: int) -> TokenRow:
        """Return the first tokens of a prompt, followed by those of its answer.

        Args:
            row: tokens of the prompt.
            final: number of its last segment.
        """
        answer = [n for n, token in enumerate(row) if token[2] == final and token[1] in ANSWERERS]
        start, stop = (answer[0], answer[-1] + 1) if answer else (len(row), len(row))
        is_whole = self.of_answer is None or stop - start <= self.of_answer
        return [
            *row[:start][: self.of_prompt],
            *row[start:stop][: self.of_answer],
            *(row[stop:] if is_whole else ()),
        ]

    def begin(self, row: TokenRow, final: int) -> TokenRow | None:
        """Make the first tokens of an answer a segment before it, and the rest the last one.

        The tokens are those of the whole text, so a begun reply is what a model sees in running
        text: nothing is tokenised again where it ends. Markup behind an answer that ends there
        would close the reply, and goes.

        Args:
            row: tokens of the prompt, cut.
            final: number of its last segment.

        Returns:
            The tokens; None of an answer that is too short to be begun so far.
        """
        answer = [n for n, token in enumerate(row) if token[2] == final and token[1] in ANSWERERS]
        if self.begun == 0:
            return row
        if len(answer) < self.begun:
            return None
        rest = answer[self.begun :]
        if not rest:
            return row[: answer[-1] + 1]
        return [
            (token, role, final + 1)
            if segment == final and n >= rest[0]
            else (token, role, segment)
            for n, (token, role, segment) in enumerate(row)
        ]


ALL = FirstTokens()
"""Everything."""
