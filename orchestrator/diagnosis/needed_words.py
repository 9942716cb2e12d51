"""`needed_words`: literals of which every match of a pattern has one: most lines are skipped.

To look for a word in a text takes a thousandth of what an expression takes, and a launch may have
thousands of failures, each with a log and some fifty signatures.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

_SHORTEST = 3
"""Characters of the shortest word that is worth looking for."""
_OF_REGEX_ALONE = re.compile(r"\[\[|\[:|\{(?![\d,])")
"""What the library `regex`, which searches, reads otherwise than the parser here: sets within sets,
and errors that a match may have."""
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


@cache
def needed_words(pattern: str) -> frozenset[str] | None:
    """Return words of which any line that a pattern is found in has one, whatever their case.

    Returns:
        The words, folded by `str.casefold`; None where the pattern need have none: every line may
        match, or this cannot be told.
    """
    if _OF_REGEX_ALONE.search(pattern):
        return None
    try:
        # The one parser that there is has no public name.
        tree: Any = re._parser.parse(pattern)  # type: ignore[attr-defined]
    except (re.error, AttributeError, RecursionError, OverflowError):
        return None  # an expression that only the library `regex` knows, or a Python without it
    return _of_sequence(tree)


def _of_sequence(items: Iterable[tuple[Any, Any]]) -> frozenset[str] | None:
    """Return the best choice for a sequence: each of its parts is in every match."""
    choices: list[frozenset[str]] = []
    word = ""
    for kind, argument in items:
        if str(kind) == "LITERAL" and argument < 128:
            word += chr(argument)
            continue
        choices += _worthwhile(word)
        word = ""
        if (words := _of_item(str(kind), argument)) is not None:
            choices.append(words)
    choices += _worthwhile(word)
    return max(choices, key=_value, default=None)


def _of_item(kind: str, argument: Any) -> frozenset[str] | None:
    if kind == "SUBPATTERN":
        return _of_sequence(argument[-1])
    if kind == "ATOMIC_GROUP":
        return _of_sequence(argument)
    if kind in _REPEATS and argument[0] > 0:
        return _of_sequence(argument[2])
    if kind == "BRANCH":
        return _of_branches(argument[1])
    return None


def _of_branches(branches: Sequence[Any]) -> frozenset[str] | None:
    words: set[str] = set()
    for branch in branches:
        some = _of_sequence(branch)
        if some is None:
            return None
        words |= some
    return frozenset(words)


def _worthwhile(word: str) -> list[frozenset[str]]:
    return [frozenset({word.casefold()})] if len(word) >= _SHORTEST else []


def _value(words: frozenset[str]) -> tuple[int, int]:
    """Return how good a choice is: long words are rare, and few are soon looked for."""
    return min(map(len, words)), -len(words)
