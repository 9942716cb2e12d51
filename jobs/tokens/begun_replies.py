"""Begun replies (`prefill`) of a planned job: whose answer begins them, and which are too short."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.errors import UserError
from jobs.kind import Upstream
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine
from jobs.tokens.planned_answers import planned_answers
from jobs.tokens.planned_tokenizer import PlannedTokenizer


def notes_on_prefill(
    prefill: int,
    asked: Upstream | None,
    prompts: Planned[PromptLine],
    tokenizer: PlannedTokenizer | None,
    template: str | None = None,
) -> Sequence[str]:
    """Say how many prompts surely have no answer that is long enough to be begun.

    Args:
        prefill: tokens of the begun reply; 0 asks for none.
        asked: what the plan knows of the job that leaves the prompts.
        prompts: that the job will read.
        tokenizer: whose tokens they are; None where it is not here.
        template: the chat template (Jinja) that they will stand in.

    Raises:
        UserError: the prompts do not say whose answer it is that begins the reply, or none of
            their answers is long enough.
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
    answers = planned_answers(prompts, tokenizer, template)
    short, count = answers.num_short(prefill), len(answers.lengths)
    if not short:
        return ()
    if short == count:
        raise UserError(
            f"no answer has the {prefill} tokens that are to begin a reply: the longest of {count} "
            f"has {answers.longest} {answers.unit}",
            where="prefill",
            hint="lower `prefill`",
        )
    return (
        f"{short} of {count} prompts have answers of under {prefill} {answers.unit} and are left "
        "out: too short to begin a reply",
    )
