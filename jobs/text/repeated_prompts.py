"""Answers that begin with their prompt, which would be learned twice, as what follows it."""

from collections.abc import Sequence

from jobs.text.rows.fault import RowFault

_NEARLY_ALL = 0.9
"""Share of rows from which the answers of a source are meant to hold their prompts."""


def are_repeated(rows: Sequence[tuple[str, ...]]) -> bool:
    """Tell whether in nearly all rows every answer begins with the prompt, which stands first."""
    num_repeated = sum(1 for prompt, *answers in rows if is_repeated(prompt, answers))
    return bool(rows) and num_repeated >= _NEARLY_ALL * len(rows)


def is_repeated(prompt: str, answers: Sequence[str]) -> bool:
    """Tell whether all answers begin with the prompt, and cut no word where it ends."""
    said = prompt.strip()
    return bool(said) and all(
        begun.startswith(said) and not _cuts_a_word(said, begun[len(said) :])
        for begun in (answer.lstrip() for answer in answers)
    )


def behind(prompt: str, answer: str, called: str) -> str:
    """Return an answer without the prompt that it begins with.

    Raises:
        RowFault: it does not, or there is nothing more.
    """
    if not is_repeated(prompt, [answer]):
        raise RowFault(f"{called} does not begin with the prompt, as nearly all do")
    if answer.startswith(prompt):
        rest = answer[len(prompt) :]
    else:
        rest = answer.lstrip()[len(prompt.strip()) :]
        rest = rest if prompt.strip() == prompt.lstrip() else rest.lstrip()
    if not rest.strip():
        raise RowFault(f"{called} is the prompt alone")
    return rest


def note_of_repeats(answers: str) -> str:
    """Say that prompts were taken off answers, however these are called."""
    return f"{answers} begin with their prompt: it is taken off"


def _cuts_a_word(said: str, rest: str) -> bool:
    both = said[-1:] + rest[:1]
    return len(both) == 2 and both.isascii() and both.isalnum()
