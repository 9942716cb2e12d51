"""What the mass of words will cost, said before a job runs."""

from collections.abc import Sequence

from jobs.behaviour.scored_params import LocalModelParams
from jobs.kind import Upstream
from jobs.tokens.planned_tokenizer import planned_tokenizer

_TOKENS_OF_A_WORD, _UNPRUNED = 0.85, 2.6
"""Tokens that are forwarded after a prompt for each word of the list, padding included, until 1 %
is left and until nothing is: a little above the 0.74 and 2.54 that `benchmarks/word_mass.py` gave
with 8,192 tokens and a briefly trained model, which spreads its mass. SmolLM2-135M took 0.21 to
0.23 and 1.4."""
_GROWTH = 0.43
"""How they grow as less may be left, as a power of the share: of SmolLM2-135M from 5 % to 1 %."""
_FOR_ITS_END = 2
"""How much more it takes to know where a word ends."""
_LIST = 100
"""Words that the note speaks of where their number is not known."""


def notes_on_words(
    params: LocalModelParams,
    model: Upstream | None,
    words: Upstream | None,
    num_prompts: int,
    num_passes: int = 1,
) -> Sequence[str]:
    """Say what following words of several tokens may cost; nothing where no such model is known.

    Args:
        params: params of the job.
        model: the model whose tokens the words are written in.
        words: where the words come from.
        num_prompts: prompts of the job; 0 where that is not known.
        num_passes: times that all of them are read.
    """
    if "toxic_mass" not in params.metrics or planned_tokenizer(model) is None:
        return ()
    num_words, tokens = _num_words(words), extra_tokens(params, words)
    most = f"{params.most_uncounted:.2g} of the mass is" if params.most_uncounted else "nothing is"
    note = (
        "toxic_mass follows words of several tokens after each prompt until at most "
        f"{most} left: of {num_words} words up to about {_rounded(tokens)} tokens are forwarded "
        "beside the prompt's own, few where most words are one token"
    )
    if num_prompts:
        passes = "" if num_passes == 1 else f"{num_passes} passes over "
        total = _rounded(tokens * num_prompts * num_passes)
        note += f"; for {passes}{num_prompts:,} prompts up to about {total}"
    return (note,)


def extra_tokens(params: LocalModelParams, words: Upstream | None) -> float:
    """Return the tokens that are forwarded after each prompt, about and at most."""
    return _num_words(words) * _tokens_of_a_word(params)


def _num_words(words: Upstream | None) -> int:
    """Return how many words a list may have, as far as its params say."""
    known = None if words is None else words.params.get("max_toxic_words")
    return _LIST if known is None else int(known)


def _tokens_of_a_word(params: LocalModelParams) -> float:
    """Return the tokens that a word of the list takes after each prompt."""
    share = params.most_uncounted
    pruned = _TOKENS_OF_A_WORD * (0.01 / share) ** _GROWTH if share else _UNPRUNED
    return min(pruned, _UNPRUNED) * (_FOR_ITS_END if params.word_ends == "required" else 1)


def _rounded(number: float) -> str:
    """Write a number to two digits, with commas."""
    return f"{int(float(f'{number:.1e}')):,}"
