"""A study's summary run in W&B: the comparison as a table, the figures, and what was reused."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.tracking import RunName, mirror_summary, tracking_mode

if TYPE_CHECKING:
    from analysis.table import Table


def mirror_study(
    name: RunName, tables: "Sequence[Table]", figures: Sequence[Path], reused: Sequence[str]
) -> None:
    """Mirror a study's outcome: each comparison table, its figures, and the reused jobs' labels."""
    if tracking_mode() == "disabled":
        return
    mirror_summary(
        name,
        tables={table.title: _flat(table) for table in tables},
        figures={path.stem: path for path in figures},
        reused=reused,
    )


def _flat(table: "Table") -> tuple[list[str], list[list[object]]]:
    """One line per row of the table, one column per header, as W&B wants it."""
    columns = [*table.row_levels, *(" / ".join(filter(None, head)) for head in table.columns)]
    rows = [
        [*header, *(cell.text if cell.value is None else cell.value for cell in line)]
        for header, line in zip(table.rows, table.cells, strict=True)
    ]
    return columns, [[None if cell == "" else cell for cell in row] for row in rows]
