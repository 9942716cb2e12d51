"""The files of a comparison: the long table, tables in every format, answers and figures.

The kind `compare` and the launch of an unfinished study both write them this way.
"""

from pathlib import Path

from jobs.comparing.answers import answers, write_answers
from jobs.comparing.comparison import Comparison, long_table
from jobs.comparing.equal_dose import at_doses
from jobs.comparing.figure_files import draw_figures
from jobs.comparing.view import View


def write_views(comparison: Comparison, view: View, folder: Path) -> None:
    """Write the long table, the tables in every format, the answers and the figures.

    The long table has the numbers as they were measured, also where the view reads them at a dose.
    """
    from analysis.tables.writer import WRITERS

    folder.mkdir(parents=True, exist_ok=True)
    for form in ("csv", "parquet"):
        (folder / f"measurements.{form}").write_bytes(long_table(comparison, form))
    comparison = at_doses(comparison, view)
    tables = {"table": comparison.table(view), "scaling": comparison.scaling(view)}
    if view.contrasts:
        tables["contrasts"] = comparison.contrasts(view)
    for name, table in tables.items():
        for chosen in WRITERS.entries():
            (folder / f"{name}{chosen.SUFFIX}").write_bytes(chosen.render(table))
    studied = answers(comparison, view, places=True)
    write_answers(studied, folder)
    if view.figures:
        draw_figures(comparison, view, folder / "figures", studied=studied)
