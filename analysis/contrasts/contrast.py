"""`Contrast`: two values of one axis, held against each other: `objective=dpo-sft`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from analysis.long_table.selection import nearest

MINUS = "-"
SPACED = " - "
"""Minus that no label has: tells apart labels which have a hyphen themselves."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """First less second value of an axis."""

    axis: str
    """Column of the axis in the long table."""
    first: str
    """Label of the value from which the other one is taken."""
    second: str
    """Label of the other value."""

    @property
    def text(self) -> str:
        """The contrast as tables name it."""
        return f"{self.first} \N{MINUS SIGN} {self.second}"


def split_contrast(text: str) -> tuple[str, str]:
    """Return axis and values of `axis=first-second`; ValueError where it is not of that form."""
    axis, equals, values = (part.strip() for part in text.partition("="))
    if not (axis and equals and MINUS in values.strip(MINUS)):
        raise ValueError(f"{text!r} is not AXIS=FIRST-SECOND, such as objective=dpo-sft")
    return axis, values


def resolve_contrast(text: str, labels: Mapping[str, Sequence[str]]) -> Contrast:
    """Return the contrast that a text names among the labels of a study's axes.

    A label may have hyphens, so that a text may be cut in several ways: the one that gives two
    labels is meant. With several such ways it is refused; spaces about the minus settle it.

    Args:
        text: `axis=first-second`, or `axis=first - second`.
        labels: axis -> labels of its values; `base` stands among them for numbers of the base.

    Raises:
        ValueError: the axis or a value does not exist, or several cuts are possible.
    """
    axis, values = split_contrast(text)
    if axis not in labels:
        raise ValueError(
            f"contrast {text!r}: there is no axis {axis!r}{nearest(axis, list(labels))}"
        )
    known = labels[axis]
    cuts = [SPACED] if SPACED in values else [MINUS]
    starts = [at for at in range(len(values)) if values.startswith(cuts[0], at)]
    pairs = [(values[:at].strip(), values[at + len(cuts[0]) :].strip()) for at in starts]
    fitting = [(first, second) for first, second in pairs if first in known and second in known]
    apart = [pair for pair in fitting if pair[0] != pair[1]]
    if len(apart) == 1:
        return Contrast(axis=axis, first=apart[0][0], second=apart[0][1])
    if apart:
        ways = " or ".join(f"'{axis}={first}{SPACED}{second}'" for first, second in apart)
        raise ValueError(f"contrast {text!r} can be read in {len(apart)} ways: write {ways}")
    if fitting:
        raise ValueError(f"contrast {text!r} takes a value from itself")
    half_known = [pair for pair in pairs if pair[0] in known or pair[1] in known] or pairs
    wrong = next(label for label in half_known[0] if label not in known)
    raise ValueError(f"contrast {text!r}: no value of {axis} is {wrong!r}{nearest(wrong, known)}")


def every_pair(axis: str, labels: Sequence[str]) -> list[Contrast]:
    """Return every pair of an axis's values once."""
    return [
        Contrast(axis=axis, first=first, second=second) for first, second in combinations(labels, 2)
    ]
