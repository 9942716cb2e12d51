"""Prompts that are longer than their model holds and will be left out, known before a job runs.

A cipher makes texts longer: what stays of a set under one transform may not be what stays under
another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cluster.errors import UserError
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine
from jobs.text.rows.fault import listed
from jobs.tokens.first_tokens import FirstTokens
from jobs.tokens.planned_tokenizer import PlannedTokenizer
from jobs.tokens.text_bounds import ANY_LENGTH, may_exceed


@lru_cache(maxsize=256)
def notes_on_long_prompts(
    prompts: Planned[PromptLine],
    tokenizer: PlannedTokenizer | None,
    template: str | None,
    *,
    first: FirstTokens,
    longest: int | None,
    num_free: int = 0,
    param: str = "max_length",
    base: PlannedTokenizer | None = None,
) -> Sequence[str]:
    """Say how many prompts a job will leave out for their length.

    Args:
        prompts: that the job will read.
        tokenizer: of its model; None where it is not here.
        template: the chat template (Jinja) that they will stand in.
        first: how much of prompts and answers is kept.
        longest: the limit that the params set, or None.
        num_free: positions that are left free after a prompt.
        param: name of the param that sets `num_free`.
        base: of the base that reads them too, which may have fewer positions.

    Raises:
        UserError: all of them are too long, or no position is left for one.
    """
    if tokenizer is None:
        return ()
    from jobs.tokens.plan import build_token_plan, longest_prompt

    most = min(each.max_positions for each in (tokenizer, base) if each is not None)
    limit = longest_prompt(most, longest, num_free, param)
    shown = prompts.first
    is_templated = template is not None
    tried = [line for line in shown.items if _may_exceed(limit, line, is_templated)]
    if not tried:
        return ()
    try:
        plan, _ = build_token_plan(tried, tokenizer.load(), ANY_LENGTH, template, first=first)
    except UserError:
        return ()  # of another fault, which is looked for among all prompts
    long = plan.prompts[plan.lengths > limit].tolist()
    if len(long) == shown.count:
        build_token_plan(tried, tokenizer.load(), limit, template, first=first)  # raises
    if not long:
        return ()
    reason = {f"longer than the {limit} tokens that there is room for": long}
    return (
        f"{len(long)} of {shown.count} prompts are left out{shown.as_far_as}: "
        f"{listed(reason, 'prompt')}",
    )


def _may_exceed(limit: int, line: PromptLine, is_templated: bool) -> bool:
    texts = (part["text"] for part in line["segments"])
    return may_exceed(limit, texts, is_templated=is_templated)
