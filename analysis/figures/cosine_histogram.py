"""How alike the rows of δ are: histograms of their cosine to the mean of other prompts."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.drawing import DASHES, OKABE_ITO, finish, label_values, panels, style
from analysis.figure import Drawing, Material
from analysis.layout import Layout, axis_values
from analysis.model_styles import by_family
from analysis.view_details import cuts_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DETAIL = "cosine_histogram"
BINS = 100
CAPTION = (
    "Cosine of each row of δ to the mean δ of the other prompts: share of the kept rows in bins of "
    "0.02, one line per condition."
)

Line = dict[str, Any]


def drawings(material: Material) -> Iterator[Drawing]:
    """One per objective, a panel per model, a line per condition."""
    for cut in cuts_of(material, DETAIL, inside=("condition",)):
        canvas = draw(cut.rows, layout=material.layout, note=cut.note)
        yield Drawing(name=f"{DETAIL}{cut.suffix}", caption=CAPTION, canvas=canvas)


def draw(
    lines: Sequence[Line],
    *,
    by: str = "condition",
    layout: Layout | None = None,
    note: str = "",
) -> "Figure":
    """One panel per model, one line per value of `by`."""
    models, names = by_family(lines), axis_values(lines, by, layout or Layout())
    with style():
        titles = [
            f"{model}, layer {next(line['layer'] for line in lines if line['model'] == model)}"
            for model in models
        ]
        figure, axes = panels(titles)
        for axis, model in zip(axes, models, strict=True):
            for index, name in enumerate(names):
                own = [line for line in lines if line["model"] == model and line.get(by) == name]
                for line in own:
                    _outline(axis, line, index, name or "rows of δ")
            axis.set_xlim(_ends(lines))
            axis.set_xlabel("cosine to mean δ of other prompts")
        axes[0].set_ylim(bottom=0)
        label_values(axes, "share of rows")
        finish(figure, axes, note)
    return figure


def _ends(lines: Sequence[Line]) -> tuple[float, float]:
    """Of the occupied part of -1 to 1, with some room."""
    total = np.asarray([line["counts"] for line in lines], dtype=float).sum(axis=0)
    occupied = np.flatnonzero(total) * 2 / len(total) - 1
    return max(float(occupied[0]) - 0.1, -1.02), min(float(occupied[-1]) + 0.12, 1.02)


def _outline(axis: "Axes", line: Line, index: int, label: str) -> None:
    counts = np.asarray(line["counts"], dtype=float).reshape(BINS, -1).sum(axis=1)
    axis.stairs(
        counts / counts.sum(),
        np.linspace(-1, 1, BINS + 1),
        baseline=None,
        color=OKABE_ITO[index % len(OKABE_ITO)],
        linestyle=DASHES[index % len(DASHES)],
        linewidth=1.1,
        label=label,
    )
