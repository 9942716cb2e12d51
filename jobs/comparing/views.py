"""The files of a comparison: the long table, tables in every format, and figures.

The kind `compare` and the launch of an unfinished study both write them this way.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.comparing.comparison import Comparison, long_table, selection_of
from jobs.comparing.view import View

if TYPE_CHECKING:
    from analysis.measurement import Row


def write_views(comparison: Comparison, view: View, folder: Path) -> None:
    """Write the long table, the comparison and scaling tables in every format, and the figures."""
    from analysis.writer import formats, writer

    folder.mkdir(parents=True, exist_ok=True)
    for form in ("csv", "parquet"):
        (folder / f"measurements.{form}").write_bytes(long_table(comparison, form))
    for name, table in (("table", comparison.table(view)), ("scaling", comparison.scaling(view))):
        for form in formats():
            chosen = writer(form)
            (folder / f"{name}{chosen.SUFFIX}").write_bytes(chosen.render(table))
    if view.figures:
        draw_figures(comparison, view, folder / "figures")


def draw_figures(comparison: Comparison, view: View, folder: Path) -> None:
    """One figure of each metric against size, and against depth where it has layers."""
    from analysis.figure import to_bytes

    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in _figures(comparison, view):
        for suffix in ("png", "pdf"):
            (folder / f"{name}.{suffix}").write_bytes(to_bytes(figure, suffix))


def _figures(comparison: Comparison, view: View) -> Iterator[tuple[str, Any]]:
    from analysis.figures import against_depth, against_size, behaviour
    from analysis.layout import metrics_shown
    from analysis.seeds import over_seeds
    from analysis.selection import resolve, select

    layout = comparison.layout(view)
    for metric in metrics_shown(comparison.rows, layout.metrics):
        own = [row for row in comparison.rows if row["metric"] == metric]
        # A spectrum is drawn centred; the table and the long table hold both.
        own = [row for row in own if row["centred"] is not False]
        at_depth = over_seeds(select(own, resolve(selection_of(view), own)), view.seeds)
        if not any(row["value"] is not None for row in own):
            continue
        if all(row["layer"] is None for row in own if row["value"] is not None):
            yield f"{metric}-behaviour", behaviour.draw(at_depth, layout=layout)
        else:
            label = _label(metric, own)
            yield (
                f"{metric}-against-size",
                against_size.draw(at_depth, layout=layout, label=label),
            )
            whole = resolve(selection_of(view, every_layer=True), own)
            every = over_seeds(select(own, whole), view.seeds)
            yield (
                f"{metric}-against-depth",
                against_depth.draw(every, layout=layout, label=label),
            )


def _label(metric: str, rows: "Sequence[Row]") -> str:
    """A metric's name on an axis; a spectrum says that it is the centred one."""
    from analysis.figure import readable

    centred = any(row["centred"] for row in rows)
    return f"{readable(metric)} (centred)" if centred else readable(metric)
