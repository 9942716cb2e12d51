"""Where value vectors moved: histograms of their change's cosine with mean δ, MLP by MLP.

Lee et al. 2024, figure 5: the earlier layers' value vectors shift against δ further on.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.figure import Drawing, Material
from analysis.drawing.model_styles import draw_per_model
from analysis.drawing.ridges import OVERLAP, draw_ridge
from analysis.drawing.view_details import Line, cuts_of

DETAIL = "value_vector_shift"
MOST_LAYERS = 10
"""Histograms in one panel; of deeper models, layers evenly spread."""
BINS = 50
CAPTION = (
    "Cosine between mean δ at a layer and the change of value vectors of each earlier MLP: one "
    "histogram per MLP, all of one height, their medians marked; hatched where medians with random "
    "directions lie."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing per objective, a panel per model."""
    for cut in cuts_of(material, DETAIL):
        lines = [line for line in cut.rows if sum(line["counts"] or ())]
        if lines:
            name = f"{DETAIL}-histograms{cut.suffix}"
            yield Drawing(name=name, caption=CAPTION, canvas=draw(lines, note=cut.note))


def draw(lines: Sequence[Line], *, note: str = "") -> "Figure":
    """Draw one panel per model, the earliest MLP below."""
    return draw_per_model(
        lines,
        _ridges,
        title="{model}, layer {layer}",
        places="cosine with mean δ",
        values="MLP of the value vectors",
        note=note,
        height=2.4,
    )


def _ridges(axis: "Axes", lines: Sequence[Line]) -> None:
    """Draw one filled histogram above the other, of the earliest MLP below."""
    lines = sorted(lines, key=lambda line: int(line["value_layer"]))
    at = np.unique(np.linspace(0, len(lines) - 1, min(len(lines), MOST_LAYERS)).round().astype(int))
    chosen = [lines[index] for index in at]
    for place, line in enumerate(chosen):
        draw_ridge(axis, place, line["counts"], BINS)
        axis.plot([line["median"]] * 2, [place, place + OVERLAP], color="#D55E00", label="median")
        if line["null_low"] is not None:
            axis.fill_betweenx(
                [place, place + OVERLAP],
                [line["null_low"]] * 2,
                [line["null_high"]] * 2,
                facecolor="none",
                edgecolor="#808080",
                hatch="//////",
                linewidth=0.4,
                label="null: random",
            )
    axis.set_yticks(range(len(chosen)), [str(line["value_layer"]) for line in chosen])
    axis.tick_params(labelleft=True)
    axis.set_xlim(-1.02, 1.02)
