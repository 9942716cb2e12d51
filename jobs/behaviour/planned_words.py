"""What the mass of words will cost, said before a job runs."""

from collections.abc import Sequence

from jobs.behaviour.scored_params import LocalModelParams
from jobs.kind import Upstream
from jobs.tokens.planned_tokenizer import planned_tokenizer

EXTRA_TOKENS = {"any": 500, "required": 1000}
"""Tokens of 500 words that are forwarded after each prompt, pruned to 1 %; measured by
`benchmarks/word_mass.py` with 8,192 tokens and a briefly trained model, which spreads its mass."""


def notes_on_words(params: LocalModelParams, model: Upstream | None) -> Sequence[str]:
    """Say what following words of several tokens may cost; nothing where no such model is known."""
    if "toxic_mass" not in params.metrics or planned_tokenizer(model) is None:
        return ()
    return (
        "toxic_mass follows words of several tokens after each prompt: of 500 words up to about "
        f"{EXTRA_TOKENS[params.word_ends]} tokens are forwarded beside the prompt's own, few where "
        "most words are one token",
    )
