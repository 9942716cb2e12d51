"""What a study says on one screen: a verdict per question, and one block of its table."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

from analysis.answering.answer import StudyAnswer, Verdict
from analysis.tables.table import Table

if TYPE_CHECKING:
    from rich.console import RenderableType

_INDENT = 2
_LINES = 2
"""Lines of an answer's summary; `compare --answers` prints all of it."""


def summary(answers: Sequence[StudyAnswer], table: Table, width: int) -> RenderableType:
    """Return the title, the verdicts, what they all are subject to, and the table's first block.

    Args:
        answers: the answers to the study's questions.
        table: the comparison table.
        width: columns of the terminal.
    """
    from rich.console import Group
    from rich.text import Text

    from analysis.tables.writers.terminal import first_block

    return Group(
        Text(table.title, style="bold"),
        Text(),
        *(part for answer in answers for part in _lines(answer, width)),
        *_not_measured(answers, width),
        *(Text(f"! {caveat}", style="yellow") for caveat in _shared_caveats(answers)),
        Text(),
        first_block(table, width),
    )


def _lines(answer: StudyAnswer, width: int) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    if answer.verdict is Verdict.NOT_MEASURED:
        return []
    verdict = answer.verdict.value.upper()
    question = Text.assemble(answer.question, " ", (verdict, "bold"))
    text = shorten(answer.summary, _LINES * (width - _INDENT) - _INDENT, placeholder=" …")
    return [question, Padding(Text(text, style="dim"), (0, 0, 0, _INDENT))]


def _not_measured(answers: Sequence[StudyAnswer], width: int) -> list[RenderableType]:
    """Return one line for all questions that the study does not bear on."""
    from rich.text import Text

    absent = [answer.question for answer in answers if answer.verdict is Verdict.NOT_MEASURED]
    if not absent:
        return []
    verdict = Verdict.NOT_MEASURED.value.upper()
    room = width - len(verdict) - 2
    return [
        Text.assemble((verdict, "bold"), ": ", shorten(" ".join(absent), room, placeholder=" …"))
    ]


def _shared_caveats(answers: Sequence[StudyAnswer]) -> list[str]:
    """Return the caveats that every answer with a verdict has."""
    given = [answer.caveats for answer in answers if answer.verdict is not Verdict.NOT_MEASURED]
    return [caveat for caveat in (given[0] if given else ()) if all(caveat in c for c in given)]
