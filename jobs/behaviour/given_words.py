"""Does a planned job get the list of toxic words that its metrics need?"""

from collections.abc import Callable, Mapping, Sequence

from cluster.errors import UserError
from jobs.behaviour.scored_params import WordsParams
from jobs.kind import Upstream


def notes_on_given_words(
    params: WordsParams,
    inputs: Mapping[str, Upstream],
    know_words: Callable[[Mapping[str, Upstream]], bool],
) -> Sequence[str]:
    """Say which metrics have no list of toxic words.

    Args:
        params: of the job.
        inputs: what the plan knows of the inputs that the stage gives.
        know_words: tells whether the source of the prompts among them names any, or may.

    Raises:
        UserError: the words are to be those of the prompts, which know none.
    """
    if not params.word_metrics:
        return ()
    if params.toxic_words == "prompts":
        if not know_words(inputs):
            raise words_unknown("toxic_words")
        return ()
    if "lexicon" in inputs:
        return ()
    names = ", ".join(params.word_metrics)
    return (
        f"no toxic words are given for {names}, which will be missing where they need them: the "
        "stage lacks the input 'lexicon'",
    )


def words_unknown(where: str) -> UserError:
    """Make the error of prompts whose words were to be counted, and which know none."""
    return UserError(
        "the source of these prompts knows no toxic words",
        where=where,
        hint="leave toxic_words out and give pairs as the input `lexicon`",
    )
