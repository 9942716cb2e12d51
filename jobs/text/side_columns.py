"""Columns that say which of two answers is preferred, where rows do not have them in order."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

_SIDES = ("chosen", "rejected")
_DECIDING = frozenset(
    {
        *("better", "best", "safer", "winner", "winning", "preferred", "preference", "choice"),
        *("label", "labels", "verdict", "judgement", "judgment", "vote"),
    }
)
"""Words in the names of columns that say which answer is preferred, or how good one is."""
_SCORES = frozenset({"score", "scores", "rating", "reward", "rank", "quality"})
"""Words of those that do so with a number for each answer."""
_ANSWERS = frozenset(
    {"answers", "completions", "responses", "candidates", "generations", "outputs", "summaries"}
)
"""Names of columns that hold several answers to one prompt."""
_ORDINALS = ("0", "1", "2", "a", "b")
SCORES_OF_SIDES = tuple(
    (f"{first}{mark}{second}", f"{other}{mark}{last}")
    for mark in ("_", "-", " ", ".")
    for score in ("score", "rating", "reward", "scores", "quality")
    for first, second, other, last in (
        ("chosen", score, "rejected", score),
        (score, "chosen", score, "rejected"),
    )
)
"""Names of two columns that score the sides of a row."""
_NUMBERED = re.compile(r"(.*?)[ _-]?([012abAB])")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


def way_to_order_sides(missing: Sequence[str], unread: Sequence[str]) -> str | None:
    """Say how rows become pairs that have their answers in other columns; None where none are seen.

    Args:
        missing: columns that a format lacks.
        unread: columns that the file has instead.
    """
    if not set(missing) & set(_SIDES):
        return None
    deciding, answers = deciding_columns(unread), _numbered_answers(unread)
    several = [name for name in unread if name.lower() in _ANSWERS]
    if several:
        return (
            f"{several[0]!r} holds several answers a row: write a row for each two of them first, "
            "the better one as chosen, the other as rejected"
        )
    if deciding and answers:
        first, second = answers
        return (
            f"{_either(deciding)} says which of {first!r} and {second!r} is preferred: order the "
            f"sides first, row by row, for example `rows['chosen'] = rows[{first!r}].where("
            f"rows[{deciding[0]!r}] == VALUE, rows[{second!r}])`, VALUE being what stands for "
            f"{first!r}; a name for each side alone would reverse part of the preferences"
        )
    if deciding:
        return (
            f"{_either(deciding)} seems to judge one answer a row: join a preferred and another "
            "answer to the same prompt to one row first, as chosen and rejected"
        )
    return None


def note_of_order(columns: Mapping[str, str], unread: Sequence[str]) -> str | None:
    """Say that nothing reads what decides between sides that a study names; None: nothing does."""
    if not set(columns) & set(_SIDES):
        return None
    deciding = deciding_columns(unread)
    if not deciding:
        return None
    return (
        f"nothing reads {_either(deciding)}: if it says which side of a row is preferred, "
        "the sides must be ordered by it first"
    )


def score_columns(names: Collection[str]) -> tuple[str, str] | None:
    """Return the columns of a file that score the chosen and the rejected side, if it has both."""
    return next((pair for pair in SCORES_OF_SIDES if pair[0] in names and pair[1] in names), None)


def note_of_scores(names: tuple[str, str], scores: Sequence[tuple[object, object]]) -> str | None:
    """Say in how many rows the rejected side has the higher score, or both have the same.

    Args:
        names: of the columns of scores.
        scores: of the chosen and of the rejected side, row by row, as they stand there.
    """
    numbers = [both for both in map(_numbers, scores) if both is not None]
    reversed_ = sum(1 for chosen, rejected in numbers if rejected > chosen)
    equal = sum(1 for chosen, rejected in numbers if rejected == chosen)
    told = [
        *([f"{names[1]!r} is more than {names[0]!r} in {reversed_}"] if reversed_ else []),
        *([f"both are equal in {equal}"] if equal else []),
    ]
    if not told:
        return None
    return f"of {len(numbers)} rows with scores {' and '.join(told)}: are these sides preferred?"


def _numbers(scores: tuple[object, object]) -> tuple[float, float] | None:
    try:
        chosen, rejected = (float(str(score)) for score in scores)
    except ValueError:
        return None
    return None if math.isnan(chosen) or math.isnan(rejected) else (chosen, rejected)


def deciding_columns(names: Sequence[str]) -> list[str]:
    """List the columns whose names say that they decide between answers."""
    numbered = {name for pair in _numbered(names) for name in pair}
    return [
        name
        for name in names
        if _words(name) & _DECIDING or (name in numbered and _words(name) & _SCORES)
    ]


def _numbered_answers(names: Sequence[str]) -> tuple[str, str] | None:
    """Return two columns that are alike but for their number, and are neither scores nor models."""
    no_answers = {*_DECIDING, *_SCORES, "model"}
    pairs = (pair for pair in _numbered(names) if not _words(pair[0]) & no_answers)
    return next(pairs, None)


def _numbered(names: Sequence[str]) -> list[tuple[str, str]]:
    by_stem: dict[str, dict[str, str]] = {}
    for name in names:
        if (match := _NUMBERED.fullmatch(name)) and match[1]:
            by_stem.setdefault(match[1], {})[match[2].lower()] = name
    in_order = ([found[each] for each in _ORDINALS if each in found] for found in by_stem.values())
    return [pair for found in in_order for pair in pairwise(found[:2])]


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORDS.findall(name)}


def _either(names: Sequence[str]) -> str:
    return " or ".join(repr(name) for name in names[:3])
