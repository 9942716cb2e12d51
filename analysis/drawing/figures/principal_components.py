"""Base and aligned rows in one plane: along mean δ, and along what varies most besides.

Lee et al. 2024, figure 4.
"""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from analysis.drawing.figure import Drawing, Material
from analysis.drawing.marks import OKABE_ITO
from analysis.drawing.model_styles import draw_per_model
from analysis.drawing.view_details import Line, cuts_of

DETAIL = "principal_components"
CAPTION = (
    "The same tokens in the base and in the aligned model, joined by a line: across, their "
    "position on the axis of mean δ; up, on the first principal component of what that axis leaves "
    "(its share of the variance in brackets). Each model has its own scale."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing per objective, a panel per model."""
    for cut in cuts_of(material, DETAIL):
        canvas = draw(cut.rows, note=cut.note)
        yield Drawing(name=f"{DETAIL}{cut.suffix}", caption=CAPTION, canvas=canvas)


def draw(lines: Sequence[Line], *, note: str = "") -> "Figure":
    """Draw one panel per model, each on its own scale: residual streams differ in theirs."""
    return draw_per_model(
        lines,
        _points,
        title="{model}, layer {layer} ({share:.0%})",
        places="along mean δ",
        values="first component of the rest",
        note=note,
    )


def _points(axis: "Axes", lines: Sequence[Line]) -> None:

    base = [line["base_along"] for line in lines], [line["base_across"] for line in lines]
    moved = [line["aligned_along"] for line in lines], [line["aligned_across"] for line in lines]
    pairs = zip(zip(*base, strict=True), zip(*moved, strict=True), strict=True)
    axis.add_collection(LineCollection(list(pairs), colors="#BBBBBB", linewidths=0.4, zorder=1))
    for label, points, shade, marker, fill in (
        ("base", base, OKABE_ITO[0], "o", "none"),
        ("aligned", moved, OKABE_ITO[1], "^", "full"),
    ):
        axis.plot(
            *points,
            linestyle="none",
            color=shade,
            marker=marker,
            fillstyle=fill,
            markersize=3.2,
            markeredgewidth=0.7,
            label=label,
        )
