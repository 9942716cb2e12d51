"""How long the answers of planned prompts are, and which positions that leaves without any row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cluster.errors import UserError
from jobs.text.planned import Planned
from jobs.text.prompt_lines import ANSWERERS, PromptLine
from jobs.tokens.first_tokens import FirstTokens
from jobs.tokens.joining import join_segments
from jobs.tokens.planned_tokenizer import PlannedTokenizer
from jobs.tokens.position_policy import Policy, answer_token, expanded


@dataclass(frozen=True, kw_only=True)
class PlannedAnswers:
    """The final answers of prompts that a job will read."""

    lengths: tuple[int, ...]
    """Tokens of each prompt's, 0 where it has none; bytes where the tokenizer is not here, which
    no answer has more tokens than. Empty where the prompts are not here; prompts that the template
    refuses are left out."""
    unit: str
    """`tokens` or `bytes`."""
    has_turns: bool
    """Whether any prompt has a turn of a user."""

    def num_short(self, tokens: int) -> int:
        """Return how many surely have fewer tokens."""
        return sum(length < tokens for length in self.lengths)

    @property
    def longest(self) -> int:
        """Most tokens, or bytes, of an answer."""
        return max(self.lengths)


@lru_cache(maxsize=64)
def planned_answers(
    prompts: Planned[PromptLine], tokenizer: PlannedTokenizer | None, template: str | None = None
) -> PlannedAnswers:
    """Measure the answers of prompts.

    Args:
        prompts: that a job will read.
        tokenizer: of its model; None where it is not here.
        template: the chat template (Jinja) that they will stand in.
    """
    lines = prompts.read()
    if tokenizer is None:
        texts = (line["segments"][-1]["text"] for line in lines)
        sizes = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
    else:
        segments = _segments(lines, tokenizer, template) if lines else []
        taken = [(n, line) for n, line in zip(segments, lines, strict=True) if n is not None]
        sizes = [numbers.count(len(line["segments"]) - 1) for numbers, line in taken]
        lines = [line for _, line in taken]
    is_answer = [line["segments"][-1]["role"] in ANSWERERS for line in lines]
    return PlannedAnswers(
        lengths=tuple(size * own for size, own in zip(sizes, is_answer, strict=True)),
        unit="bytes" if tokenizer is None else "tokens",
        has_turns=any(part["role"] == "user" for line in lines for part in line["segments"]),
    )


def _segments(
    lines: Sequence[PromptLine], tokenizer: PlannedTokenizer, template: str | None
) -> list[list[int] | None]:
    """Return the segment of every token of each prompt; None for one that is refused."""
    if template is None:
        texts = [[segment["text"] for segment in line["segments"]] for line in lines]
        return [joined.segments for joined in join_segments(texts, tokenizer.bare())]
    from jobs.tokens.chat import ChatRows

    rows = ChatRows(tokenizer.load(), template).rows_or_faults(lines)
    return [
        None if isinstance(row, UserError) else [segment for _, _, segment in row] for row in rows
    ]


def notes_on_positions(
    policies: Sequence[Policy], first: FirstTokens, answers: PlannedAnswers
) -> Sequence[str]:
    """Say at which positions no prompt gives a row.

    Args:
        policies: what is to be extracted.
        first: how much of the answers is kept, and begun.
        answers: those of the prompts.

    Raises:
        UserError: there is none at any of the positions.
    """
    wanted = expanded(policies)
    if not answers.lengths:
        return ()
    absent = list(_absent(wanted, first, answers))
    if not absent:
        return ()
    named = ", ".join(policy for policy, _ in absent)
    reason = "; ".join(dict.fromkeys(why for _, why in absent))
    if len(absent) == len(wanted):
        raise UserError(f"no prompt has a token at {named}: {reason}", where="positions")
    return (f"no prompt has a token at {named}, where every number will be missing: {reason}",)


def _absent(
    policies: Sequence[Policy], first: FirstTokens, answers: PlannedAnswers
) -> Iterator[tuple[Policy, str]]:
    """Yield the policies that find no token, and why."""
    kept, unit = answers.longest, answers.unit
    if first.of_answer is not None and first.of_answer <= kept:
        kept, unit = first.of_answer, "tokens"
    begun = f", {first.begun} of them begun" if first.begun else ""
    for policy in policies:
        number = 0 if policy == "response" else answer_token(policy)
        if policy == "turn" and not answers.has_turns:
            yield policy, "the prompts are no dialogues"
        elif number is not None and first.begun + number >= kept:
            yield (
                policy,
                (
                    f"no answer has more than {kept} {unit}{begun}"
                    if kept
                    else "the prompts have no answers"
                ),
            )
