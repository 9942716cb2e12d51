"""How much less toxic neurons fire after alignment: bars of base and aligned, layer by layer.

Lee et al. 2024, figure 3, on the same tokens for both models.
"""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Drawing, Material
from analysis.drawing.marks import HATCHES, OKABE_ITO, finish, label_values, panels, style
from analysis.drawing.model_styles import by_family
from analysis.drawing.row_values import drawable, notes_on, number
from analysis.measurement import Row, Scalar

DROP, BASE = "toxic_activation_drop", "toxic_activation_drop_base"
WIDTH = 0.38
CAPTION = (
    "Mean activation of the toxic neurons of each layer in the base and in the aligned model, on "
    "the same tokens. The bar of the aligned model carries the 95 % interval of the difference."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing per objective, a panel per model."""
    sites = material.values(DROP, "site")[:1]
    rows = [row for name in (BASE, DROP) for row in material.rows(name, layers=True, sites=sites)]
    for cut in cuts(rows, material.layout):
        if drawable(cut.rows):
            canvas = draw(cut.rows, note=cut.note)
            yield Drawing(name=f"{DROP}-bars{cut.suffix}", caption=CAPTION, canvas=canvas)


def draw(rows: Sequence[Row], *, note: str = "") -> "Figure":
    """`rows` are of both metrics at every layer of one site and position."""
    drops = {_place(row): row for row in drawable(rows) if row["metric"] == DROP}
    bases = {_place(row): row for row in drawable(rows) if row["metric"] == BASE}
    both = [drops[place] for place in drops if place in bases]
    models = by_family(both)
    with style():
        figure, axes = panels(models, share=False)
        for axis, model in zip(axes, models, strict=True):
            own = sorted(
                (row for row in both if row["model"] == model), key=lambda row: number(row, "layer")
            )
            _bars(axis, own, [number(bases[_place(row)], "value") for row in own])
        label_values(axes, "mean activation")
        asked = [row for row in rows if row["metric"] == DROP]
        finish(figure, axes, notes_on(both, asked, note))
    return figure


def _place(row: Row) -> tuple[Scalar, Scalar]:
    return row["model"], row["layer"]


def _bars(axis: "Axes", drops: Sequence[Row], bases: Sequence[float]) -> None:
    values = [number(row, "value") for row in drops]
    aligned = [base - value for base, value in zip(bases, values, strict=True)]
    # aligned = base - drop: the interval's upper end is the aligned model's lower one.
    below = [max(number(row, "high") - number(row, "value"), 0.0) for row in drops]
    above = [max(number(row, "value") - number(row, "low"), 0.0) for row in drops]
    sides = [[0.0 if width != width else width for width in side] for side in (below, above)]
    at = range(len(drops))
    axis.bar([x - WIDTH / 2 for x in at], bases, WIDTH, color=OKABE_ITO[0], label="base")
    axis.bar(
        [x + WIDTH / 2 for x in at],
        aligned,
        WIDTH,
        yerr=sides,
        color=OKABE_ITO[1],
        hatch=HATCHES[1],
        ecolor="#303030",
        error_kw={"elinewidth": 0.7, "capsize": 1.5},
        edgecolor="white",
        linewidth=0,
        label="aligned",
    )
    step = max(1, len(drops) // 8)
    axis.set_xticks(list(at)[::step], [str(row["layer"]) for row in drops][::step])
    axis.axhline(0, color="black", linewidth=0.6)
    axis.grid(False, axis="x")
    axis.set_xlabel("layer")
