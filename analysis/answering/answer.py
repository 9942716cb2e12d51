"""Contract of an answer to one of the study's questions, and the door to the files in `answers/`.

The file's name is the answer's name in views. An answer is made from findings (numbers over seeds,
with their circumstances). Every verdict follows from intervals, noise floors and null bands by the
rule in the file's docstring; no verdict rests on a number without its interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from analysis.door import Door

if TYPE_CHECKING:
    from analysis.answering.findings import Findings
    from analysis.estimates.intervals import Estimate


class Verdict(StrEnum):
    """Verdict that the evidence supports."""

    YES = "yes"
    NO = "no"
    MIXED = "mixed"
    """Some cells say yes and some no."""
    UNDECIDED = "undecided"
    """Intervals, floors or controls do not allow a verdict."""
    NOT_MEASURED = "not measured"
    """The study holds nothing that bears on it."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One number that bears on a question, with its controls."""

    text: str
    """One sentence, with the value, its interval and its control in it."""
    metric: str
    """What was measured."""
    cell: Mapping[str, str]
    """Axis -> value."""
    estimate: Estimate | None
    """The number with its 95 % interval; None where it is missing, and then the text says why."""
    keys: tuple[str, ...]
    """Jobs behind it."""
    supports: bool | None = None
    """Vote of the evidence: yes (True), no (False) or neither (None)."""

    def as_json(self) -> dict[str, object]:
        """Return the evidence as `answers.json` holds it, the interval's ends beside the value."""
        number = self.estimate
        ends = {name: number and getattr(number, name) for name in ("value", "low", "high")}
        return {
            "text": self.text,
            "metric": self.metric,
            "cell": self.cell,
            **ends,
            "keys": self.keys,
            "supports": self.supports,
        }


@dataclass(frozen=True, kw_only=True)
class StudyAnswer:
    """Answer of a study to one question."""

    name: str
    """The file's name."""
    question: str
    """The question, as a sentence."""
    verdict: Verdict
    """Verdict that the evidence supports."""
    summary: str
    """One or two sentences with the deciding numbers."""
    evidence: tuple[Evidence, ...] = ()
    """The numbers, those that decide first."""
    caveats: tuple[str, ...] = ()
    """Caveats for the reader: missing controls, model organisms, few sizes."""
    places: Specifications | None = None
    """The answer by the same rule at every place; None where that was not asked for."""


@dataclass(frozen=True, kw_only=True)
class Specification:
    """An answer at one place."""

    site: str
    """Site of the activations."""
    position: str
    """Position policy."""
    depth: float
    """A relative depth that stands for all that choose the same layers."""
    centring: str
    """What spectra are about, `the mean` or `zero`; empty where the answer reads none."""
    verdict: Verdict
    """Verdict by the same rule."""
    numbers: tuple[Evidence, ...]
    """What the answer reads of activations here, of one metric: one number for each model."""


@dataclass(frozen=True, kw_only=True)
class Specifications:
    """An answer at every place: does it depend on where one looks?"""

    verdict: Verdict
    """Verdict at the study's own place."""
    of: tuple[Specification, ...]
    """The places; those of which the answer reads nothing else than at another come once. None
    where it rests on no number of activations."""
    is_placed: bool
    """Whether any vote is different at any two places, be it in its number alone."""

    @property
    def num_holding(self) -> int:
        """At how many places the verdict is that of the study's own place."""
        return sum(each.verdict is self.verdict for each in self.of)

    @property
    def in_words(self) -> str:
        """Say at how many places the answer holds, and what it is at the others."""
        total = len(self.of)
        if not total:
            return "It rests on no number of activations, so that no other place could be chosen."
        if total == 1:
            return "It was measured at one place alone."
        if not self.is_placed:
            return f"The votes are the same at each of {total} places: none is of activations."
        others = Counter(each.verdict for each in self.of if each.verdict is not self.verdict)
        apart = ", ".join(f"{verdict.value} at {count}" for verdict, count in others.items())
        holds = f"The answer is {self.verdict.value} at {self.num_holding} of {total} places"
        return f"{holds} ({apart})." if apart else f"{holds}."

    def as_json(self) -> dict[str, object]:
        """Return the places as `answers.json` holds them."""
        return {
            "holding": self.num_holding,
            "of": len(self.of),
            "in_words": self.in_words,
            "specifications": [
                {**vars(each), "numbers": [piece.as_json() for piece in each.numbers]}
                for each in self.of
            ],
        }


class AnswerFile(Protocol):
    """The names a module in `answers/` defines; its docstring is the rule of its verdict."""

    QUESTION: str
    """The question, as a sentence."""
    ORDER: int
    """Number of the question, from 1."""

    @property
    def METRICS(self) -> Sequence[str]:
        """Names of the values that the answer reads."""
        ...

    def answer(self, findings: Findings) -> StudyAnswer:
        """Return what these findings say. Never raises on the data."""
        ...


ANSWERS: Door[AnswerFile] = Door("answer", "analysis.answering.answers", contract=AnswerFile)


def ordered_answers() -> list[AnswerFile]:
    """Return all answers, in the order of their questions."""
    return sorted(ANSWERS.entries(), key=lambda answer: answer.ORDER)


def metrics_read() -> list[str]:
    """Return the names of the values that any answer reads."""
    return sorted({metric for answer in ordered_answers() for metric in answer.METRICS})
