"""How alike the rows of δ are: histograms of their cosine to the mean of other prompts."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from analysis.drawing.figure import Drawing, Material
from analysis.drawing.marks import OKABE_ITO, finish, label_places, names_beside, panels, style
from analysis.drawing.model_styles import rows_by_model
from analysis.drawing.ridges import OVERLAP, draw_ridge
from analysis.drawing.view_details import Line, cuts_of
from analysis.tables.layout import TableLayout, axis_values

DETAIL = "cosine_histogram"
BINS = 100
MEDIAN: dict[str, Any] = {"color": OKABE_ITO[1], "label": "median"}
CAPTION = (
    "Cosine of each row of δ to the mean δ of the other prompts: one histogram of kept rows per "
    "condition, in bins of 0.02, all of one height, their medians marked."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing per objective, a panel per model, a histogram per condition."""
    for cut in cuts_of(material, DETAIL, inside=("condition",)):
        canvas = draw(cut.rows, layout=material.layout, note=cut.note)
        yield Drawing(name=f"{DETAIL}{cut.suffix}", caption=CAPTION, canvas=canvas)


def draw(
    lines: Sequence[Line],
    *,
    by: str = "condition",
    layout: TableLayout | None = None,
    note: str = "",
) -> "Figure":
    """Draw one panel per model, one histogram per value of `by`, the first one on top."""
    of_model, names = rows_by_model(lines), axis_values(lines, by, layout or TableLayout())[::-1]
    titles = [f"{model}, layer {own[0]['layer']}" for model, own in of_model.items()]
    shown, higher = names_beside([name or "rows of δ" for name in names])
    with style():
        figure, axes = panels(titles, height=(0.28 + higher) * len(names) + 0.9)
        for axis, own in zip(axes, of_model.values(), strict=True):
            for place, name in enumerate(names):
                for line in own:
                    if line.get(by) == name:
                        draw_ridge(axis, place, line["counts"], BINS)
                        axis.plot([_median(line)] * 2, [place, place + OVERLAP], **MEDIAN)
            axis.set_xlim(_ends(lines))
            axis.grid(False, axis="y")
        axes[0].set_yticks(range(len(names)), shown)
        label_places(axes, "cosine to mean δ of other prompts")
        finish(figure, axes, note)
    return figure


def _median(line: Line) -> float:
    """Interpolated within its bin of 0.01."""
    passed = np.concatenate([[0.0], np.cumsum(line["counts"], dtype=float)])
    return float(np.interp(passed[-1] / 2, passed, np.linspace(-1, 1, len(passed))))


def _ends(lines: Sequence[Line]) -> tuple[float, float]:
    """Of the occupied part of -1 to 1, with some room."""
    total = np.asarray([line["counts"] for line in lines], dtype=float).sum(axis=0)
    occupied = np.flatnonzero(total) * 2 / len(total) - 1
    return max(float(occupied[0]) - 0.1, -1.02), min(float(occupied[-1]) + 0.12, 1.02)
