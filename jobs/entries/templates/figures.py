"""Figure `my_entry`: the norm of δ of every model, as the view shows it.

The contract is analysis/drawing/figure.py. Every comparison of the study draws it.
"""

from collections.abc import Iterator

from analysis.drawing import marks
from analysis.drawing.figure import Drawing, Material

METRIC = "offset_norm"


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing; none where nothing that it draws was measured."""
    rows = material.rows(METRIC) if material.measures(METRIC) else []
    points = [(str(row["model"]), row["value"]) for row in rows if row["value"] is not None]
    if not points:
        return
    with marks.style():
        figure, (axis,) = marks.panels([" "])
        axis.plot([model for model, _ in points], [value for _, value in points], "o")
        axis.set_ylabel("norm of δ, median")
        marks.finish(figure, [axis], "")
    yield Drawing(
        name="my_entry", caption="Median norm of δ of every cell, by model.", canvas=figure
    )
