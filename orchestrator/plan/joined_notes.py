"""Which notes say the same of several jobs, and differ in their numbers alone?"""

import re
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"(?<![\w.:/-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w:/-]|[.,]\d)")
"""A number that stands by itself: no part of a label, a path or a place in a file."""
_MOST_LISTED = 5
"""Most values of one number that are listed; of more, the least and the largest are named."""


def join_notes(texts: Iterable[str]) -> list[str]:
    """Return the texts, each once, where those that differ in numbers alone are one.

    In place of each number that differs stand all of its values: `of 32, 48 or 72 dimensions`.
    """
    alike: dict[str, list[list[str]]] = {}
    for text in texts:
        alike.setdefault(_NUMBER.sub("\0", text), []).append(_NUMBER.findall(text))
    return [_filled(form, numbers) for form, numbers in alike.items()]


def _filled(form: str, numbers: Sequence[Sequence[str]]) -> str:
    """Return a text with its numbers; `numbers`: those of each note."""
    parts = form.split("\0")
    values = [_values(column) for column in zip(*numbers, strict=True)]
    return "".join(part + value for part, value in zip(parts, [*values, ""], strict=True))


def _values(numbers: Iterable[str]) -> str:
    *others, last = sorted(set(numbers), key=lambda number: float(number.replace(",", "")))
    if len(others) >= _MOST_LISTED:
        return f"{others[0]} to {last}"
    return f"{', '.join(others)} or {last}" if others else last
