"""A study's summary run in W&B: its tables, answers and figures, its geometry as lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.comparing.answers import answers
from jobs.comparing.comparison import Comparison
from jobs.comparing.curves import curves
from jobs.comparing.equal_dose import at_doses
from jobs.comparing.view import View
from jobs.mirror.client import tracking_mode
from jobs.mirror.run_name import RunName
from jobs.mirror.summary import Line, Summary, TableRows, mirror_summary

if TYPE_CHECKING:
    from analysis.tables.table import Table

_ANSWERS = ("question", "verdict", "summary", "caveats")


def mirror_study(
    name: RunName,
    comparisons: Sequence[tuple[Comparison, View]],
    figures: Sequence[Path],
    reused: Sequence[str],
) -> None:
    """Mirror a study's outcome: what each comparison shows, and the reused jobs' labels."""
    if tracking_mode() == "disabled":
        return
    tables: dict[str, TableRows] = {}
    lines: list[Line] = []
    verdicts: dict[str, str] = {}
    for measured, view in comparisons:
        comparison = at_doses(measured, view)
        tables[view.title] = flat_table(comparison.table(view))
        studied = answers(comparison, view)
        rows = [[a.question, a.verdict.value, a.summary, " ".join(a.caveats)] for a in studied]
        tables[f"{view.title}: answers"] = (_ANSWERS, rows)
        verdicts |= {answer.name: answer.verdict.value for answer in studied}
        lines += [(line.name, line.against, line.points) for line in curves(comparison, view)]
    summary = Summary(
        tables=tables,
        figures={path.stem: path for path in figures},
        lines=lines,
        verdicts=verdicts,
        reused=reused,
    )
    mirror_summary(name, summary)


def flat_table(table: "Table") -> TableRows:
    """Return one line per row of the table, one column per header, as W&B wants it.

    Counts and values are numbers; where tables show a dash there is none.
    """
    columns = [*table.row_levels, *(" / ".join(filter(None, head)) for head in table.columns)]
    rows = [
        [*header, *(None if cell.number.below_floor else cell.number.value for cell in line)]
        for header, line in zip(table.typed_rows, table.cells, strict=True)
    ]
    return columns, rows
