"""Finds the signature of a failure in what it left: pure, and bounded whatever stands there.

The first cause decides: what a failure says of itself goes before its log, an earlier line before a
later one, and what says only that something else went away (another rank, a process) comes last.
Signatures of people's own go before those of the package.
Lines that warn, or tell of a try that goes on, decide nothing.
"""

import re
import time
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from cluster.fault_classes import FaultClass
from orchestrator.diagnosis.needed_words import needed_words
from orchestrator.diagnosis.signature import KnownFailure

MOST_LINES = 400
"""Lines at the end of a log that are read."""
_LONGEST_LINE = 2000
"""Characters of a line that are read: its beginning, and its end."""
_SEARCH_S = 0.5
"""How long one signature may search a whole failure: expressions can take for ever."""
_OF_MIRROR = re.compile(r"^\s*wandb: |\bwandb\.\w+")
"""What marks a line of the mirror, without which a job goes on."""
_HARMLESS = re.compile(
    r"^\[W\d{3,4} |\b(?:INFO|DEBUG|WARNING)\b|(?<!NCCL )\bWARN\b|"
    r"\b\w*Warning: |(?i:\bretry(?:ing)?\b|\bretries (?:left|remaining)|trying again|will try)"
)
"""What marks a line that decides nothing: warnings, and tries that went on."""
_DECISIVE = re.compile(
    r"^(?:\[rank\d+\]: ?)?(?!wandb)[\w.]*(?:Error|Exception): |Max retries exceeded|"
    r"CUDA initialization:|\bXid\b"
)
"""What marks a line that decides all the same: what was raised, and the end of all tries."""
_CONSEQUENCES = frozenset({FaultClass.COLLATERAL, FaultClass.LOST_PROCESS})
_OF_VALUES = re.compile(
    r"(?:Arithmetic|Assertion|Attribute|Index|Key|Lookup|Name|Overflow|Type|UnboundLocal|Value|"
    r"ZeroDivision)Error:"
)
"""Errors about values, whose words may be the data's."""


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What a failure left to be read."""

    message: str = ""
    """What it says of itself, and how its process ended."""
    log: Sequence[str] = ()
    """The last lines of its log."""

    @property
    def is_of_values(self) -> bool:
        """Whether it is an error about values, of which shipped signatures read nothing."""
        return bool(_OF_VALUES.match(self.message))


@dataclass(frozen=True, kw_only=True)
class Match:
    """A signature that was found."""

    failure: KnownFailure
    """The signature."""
    line: str
    """The line that it was found in."""
    place: tuple[bool, int]
    """Whether that is of the log, and which of its lines."""

    @property
    def order(self) -> tuple[bool, bool, bool, int]:
        """Place among the matches of a failure, the first cause first."""
        is_consequence = self.failure.fault_class in _CONSEQUENCES
        return (self.failure.origin is None, is_consequence, *self.place)


@dataclass(frozen=True, kw_only=True)
class Matches:
    """What the signatures found."""

    found: Sequence[Match] = ()
    """One for each signature that was found, the first cause first."""
    overdue: Sequence[KnownFailure] = ()
    """Signatures that took too long and were passed over."""

    @property
    def first(self) -> Match | None:
        """The first cause; None where nothing is known."""
        return self.found[0] if self.found else None

    def first_of(self, fault_class: FaultClass) -> Match | None:
        """Return the first match of a class; else what the failure itself says, not its log."""
        same = (match for match in self.found if match.failure.fault_class is fault_class)
        of_itself = (match for match in self.found if not match.place[0])
        return next(same, next(of_itself, None))


def search(remains: Remains, failures: Iterable[KnownFailure]) -> Matches:
    """Search what a failure left for signatures."""
    lines = list(_lines(remains))
    texts = _Texts([line for _, line in lines])
    found, overdue = [], []
    for failure in failures:
        if remains.is_of_values and failure.origin is None:
            continue
        try:
            number = texts.first_with(failure.pattern)
        except TimeoutError:
            overdue.append(failure)
            continue
        if number is not None:
            place, line = lines[number]
            found.append(Match(failure=failure, line=line, place=place))
    return Matches(found=sorted(found, key=lambda match: match.order), overdue=overdue)


class _Texts:
    """Lines in which many patterns are searched for; a word first, where a pattern needs one."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._folded = [line.casefold() for line in lines]
        self._whole = "\n".join(self._folded)

    def first_with(self, pattern: str) -> int | None:
        """Return the number of the first line that a pattern is found in. Raises TimeoutError."""
        numbers = self._numbers_of(needed_words(pattern))
        if not numbers:
            return None
        first = _first_line(pattern, "\n".join(self._lines[number] for number in numbers))
        return None if first is None else numbers[first]

    def _numbers_of(self, words: Set[str] | None) -> Sequence[int]:
        """Return the numbers of the lines that have one of these words; of all without words."""
        if words is None:
            return range(len(self._lines))
        there = [word for word in words if word in self._whole]
        return [
            number
            for number, line in enumerate(self._folded if there else ())
            if any(word in line for word in there)
        ]


def _first_line(pattern: str, text: str) -> int | None:
    """Return the first line that a pattern is found in, from 0. Raises TimeoutError."""
    import regex

    until = time.monotonic() + _SEARCH_S
    compiled = regex.compile(pattern, regex.MULTILINE)
    match = compiled.search(text, timeout=_SEARCH_S)
    if match is None:
        return None
    if "\n" not in match.group():
        return text.count("\n", 0, match.start())
    # It went over the end of a line, which is more than may be looked at together.
    for number, line in enumerate(text.split("\n")):
        if compiled.search(line, timeout=max(1e-3, until - time.monotonic())):
            return number
    return None


def _lines(remains: Remains) -> Iterable[tuple[tuple[bool, int], str]]:
    said = remains.message.splitlines()
    if len(said) > MOST_LINES:  # an error's words may hold all that was asked of it
        said = said[: MOST_LINES // 2] + said[-MOST_LINES // 2 :]
    for number, line in enumerate(said):
        yield (False, number), _short(line)
    for number, line in enumerate(remains.log[-MOST_LINES:]):
        text = _short(line)
        if not _OF_MIRROR.search(text) and _may_decide(text):
            yield (True, number), text


def _may_decide(line: str) -> bool:
    return not _HARMLESS.search(line) or _DECISIVE.search(line) is not None


def _short(line: str) -> str:
    half = _LONGEST_LINE // 2
    return line if len(line) <= _LONGEST_LINE else f"{line[:half]} … {line[-half:]}"
