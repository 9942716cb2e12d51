"""Commands inside what is printed: they can be typed as they stand, and reach the same root."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_COMMAND = re.compile(r"`(deltascale [a-z]+(?: [^`\n]*)?)`")
_OF_NO_ROOT = frozenset({"new", "profile", "rehearse", "schema"})
"""Verbs that need no root."""
_FINDS_ROOT = re.compile(r" --(root|on|help)\b")

_words_of: Callable[[str], str] | None = None
"""Verb -> what its command line needs to reach the root of the command that runs."""


@contextmanager
def printed_for(words_of: Callable[[str], str]) -> Iterator[None]:
    """Let what is printed in the block name the root of the command that runs.

    Args:
        words_of: verb -> what its command line needs besides, with a space before it.
    """
    global _words_of
    before, _words_of = _words_of, words_of
    try:
        yield
    finally:
        _words_of = before


def typed(command: str) -> str:
    """Return a command with what it lacks to reach the root of the command that runs."""
    verb = command.split()[1]
    if _words_of is None or verb in _OF_NO_ROOT or _FINDS_ROOT.search(command):
        return command
    return command + _words_of(verb)


def as_typed(text: str) -> str:
    """Complete the commands in a text, which stand there in backticks."""
    return _COMMAND.sub(lambda found: f"`{typed(found[1])}`", text)
