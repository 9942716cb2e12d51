"""Begun replies (`prefill`) of a planned job: whose answer begins them, and which are too short."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cluster.errors import UserError
from jobs.kind import Upstream
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine
from jobs.tokens.joining import join_segments
from jobs.tokens.planned_tokenizer import PlannedTokenizer, planned_tokenizer


def notes_on_prefill(
    prefill: int,
    asked: Upstream | None,
    prompts: Planned[PromptLine],
    model: Upstream | None,
) -> Sequence[str]:
    """Say how many prompts have no answer that is long enough to be begun.

    Args:
        prefill: tokens of the begun reply; 0 asks for none.
        asked: what the plan knows of the job that leaves the prompts.
        prompts: that the job will read.
        model: whose tokens they are.

    Raises:
        UserError: the prompts do not say whose answer it is that begins the reply.
    """
    if not prefill or asked is None:
        return ()
    if asked.params.get("answer") is None:
        raise UserError(
            f"prefill {prefill} begins a reply with an answer, and the prompts do not say whose",
            where="prefill",
            allowed=["answer: rejected", "answer: chosen"],
            hint="set `answer: rejected` in the params of the prompts",
        )
    tokenizer = planned_tokenizer(model)
    if tokenizer is None:
        return ()
    short, count = _short_answers(prefill, prompts, tokenizer)
    if not short:
        return ()
    few = "" if short < count else "; none is left: lower `prefill`"
    return (
        f"{short} of {count} prompts have answers of under {prefill} tokens and are left out{few}",
    )


@lru_cache(maxsize=256)
def _short_answers(
    prefill: int, prompts: Planned[PromptLine], tokenizer: PlannedTokenizer
) -> tuple[int, int]:
    """Return how many answers are too short to be begun, and how many prompts there are.

    Outside of a chat template, which may cut white space off an answer.
    """
    lines = prompts.read()
    texts = [[segment["text"] for segment in line["segments"]] for line in lines]
    joined = join_segments(texts, tokenizer.bare()) if texts else []
    lengths = [each.segments.count(len(text) - 1) for each, text in zip(joined, texts, strict=True)]
    return sum(length < prefill for length in lengths), len(lines)
