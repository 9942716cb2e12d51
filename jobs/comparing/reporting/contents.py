"""`Contents`: what a study's page shows, gathered by whoever asks for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.answering.answer import Verdict
from jobs.comparing.reporting.time_use import TimeUse

if TYPE_CHECKING:
    from analysis.answering.answer import StudyAnswer
    from analysis.tables.table import Table
    from jobs.comparing.tracing import Trace


@dataclass(frozen=True, kw_only=True)
class FigureFile:
    """One drawn figure."""

    name: str
    """Its file's name without suffix: what it is called on the page."""
    suffix: str
    """`svg` or `png`."""
    data: bytes
    """The file."""
    caption: str = ""
    """What it shows and what its marks mean."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One comparison of the study."""

    name: str
    """Name of its view: stage and cell."""
    tables: "Sequence[Table]"
    """Its tables, the comparison first."""
    figures: Sequence[FigureFile]
    """Its figures, in the order shown."""
    answers: "Sequence[StudyAnswer]" = ()
    """What it says about the study's questions."""

    @property
    def answers_something(self) -> bool:
        """Tell whether the section holds anything that bears on a question."""
        return any(answer.verdict is not Verdict.NOT_MEASURED for answer in self.answers)


def answering(sections: "Sequence[Section]") -> "list[Section]":
    """Return the sections; where one answers something, those that answer nothing lose theirs."""
    if not any(section.answers_something for section in sections):
        return list(sections)
    return [
        section if section.answers_something else replace(section, answers=())
        for section in sections
    ]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that a page shows."""

    study: str
    """Name of the study."""
    jobs: Mapping[str, int]
    """What became of its jobs, in words -> how many."""
    sections: Sequence[Section]
    """Its comparisons."""
    traces: "Sequence[Trace]" = ()
    """The chains behind the keys that tables and answers name."""
    time: TimeUse = TimeUse()
    """Where its time went."""
    root: str = "../.."
    """Where the output root is, as seen from the page: its links go to files below it."""

    @property
    def num_cells(self) -> int:
        """Cells of all tables."""
        tables = [table for section in self.sections for table in section.tables]
        return sum(len(table.rows) * len(table.columns) for table in tables)

    def with_traces(self, traces: "Sequence[Trace]") -> "Contents":
        """Return the same, with the chains behind its numbers."""
        return replace(self, traces=traces)

    @property
    def keys(self) -> list[str]:
        """Keys of all jobs that a cell or a piece of evidence names, each once."""
        cells = [
            key
            for section in self.sections
            for table in section.tables
            for line in table.cells
            for cell in line
            for key in cell.number.keys
        ]
        in_answers = [
            key
            for section in self.sections
            for answer in section.answers
            for evidence in answer.evidence
            for key in evidence.keys
        ]
        return list(dict.fromkeys([*cells, *in_answers]))
