"""Which prompts leave no room for an answer, known before a job runs."""

from collections.abc import Sequence

from jobs.behaviour.scored_params import LocalModelParams
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine
from jobs.tokens.long_prompts import notes_on_long_prompts
from jobs.tokens.planned_tokenizer import PlannedTokenizer


def notes_on_length(
    params: LocalModelParams, prompts: Planned[PromptLine], tokenizer: PlannedTokenizer | None
) -> Sequence[str]:
    """Say how many prompts are left out for their length; none where texts are cut into windows."""
    if params.reads_whole_texts:
        return ()
    return notes_on_long_prompts(
        prompts,
        tokenizer,
        None,
        first=params.first,
        longest=params.max_length,
        num_free=params.new_tokens,
        param="new_tokens",
    )
