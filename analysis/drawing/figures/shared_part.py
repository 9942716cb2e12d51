"""Parts of δ's energy inside and outside the subspace of SFT's δ, by size: what do both share?"""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import marks, row_values
from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Drawing, Material
from analysis.drawing.model_styles import ticks_of
from analysis.measurement import Row, label_at
from analysis.tables.layout import axis_values

INSIDE, OUTSIDE, CEILING = "energy_inside_sft", "energy_outside_sft", "energy_inside_sft_ceiling"
WIDTH = 0.7
REST_SHADE = "#C9C9C9"
CAPTION = (
    "Energy of δ about {about}, by family and size: the part inside the subspace of SFT's δ, with "
    "its 95 % interval, and the rest. The bars at a side are the null bands: what random subspaces "
    "and what the base activations' covariance give; the dash is the ceiling, what the subspace "
    "holds of SFT itself. A cross is a missing number."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing about zero and one about the mean, where the parts were measured."""
    for centred in (False, True):
        rows = material.rows(INSIDE, centred=centred)
        ceilings = material.rows(CEILING, centred=centred)
        about = "the mean" if centred else "zero"
        for cut in cuts(rows, material.layout, each=(), inside=("objective", "condition")):
            if row_values.drawable(cut.rows):
                yield Drawing(
                    name=f"shared-part-about-{'mean' if centred else 'zero'}",
                    caption=CAPTION.format(about=about),
                    canvas=draw(cut.rows, ceilings, material=material, note=cut.note),
                )


def draw(rows: Sequence[Row], ceilings: Sequence[Row], *, material: Material, note: str) -> Figure:
    """One panel per objective, one stacked bar per model: inside below, the rest above.

    Args:
        rows: of `energy_inside_sft`, combined over seeds, about zero or about the mean.
        ceilings: of its ceiling.
        material: the study's order of axes' values.
        note: what was left out.
    """
    objectives = axis_values(rows, "objective", material.layout)
    ticks = ticks_of(rows)
    models = {model: place for place, model in enumerate(ticks)}
    with marks.style():
        figure, axes = marks.panels([name or "δ" for name in objectives])
        for axis, name in zip(axes, objectives, strict=True):
            here = [row for row in rows if label_at(row, "objective") == name]
            own = [row for row in ceilings if label_at(row, "objective") == name]
            _draw_parts(axis, here, own, models)
            axis.set_xticks(range(len(models)), list(ticks.values()), rotation=35, ha="right")
            axis.grid(False, axis="x")
            axis.set_ylim(0.0, 1.0)
        marks.label_values(axes, "share of the energy of δ")
        told = marks.notes(row_values.notes_on(row_values.drawable(rows), rows), note)
        marks.finish(figure, axes, told)
    return figure


def _draw_parts(
    axis: Axes, rows: Sequence[Row], ceilings: Sequence[Row], models: dict[str, int]
) -> None:
    drawn = row_values.drawable(rows)
    places = [models[str(row["model"])] for row in drawn]
    inside = [row_values.number(row, "value") for row in drawn]
    rest = [1 - share for share in inside]
    shade = marks.OKABE_ITO[0]
    axis.bar(places, inside, WIDTH, color=shade, label="inside SFT's subspace", linewidth=0)
    axis.bar(
        places,
        rest,
        WIDTH,
        bottom=inside,
        color=REST_SHADE,
        hatch=marks.HATCHES[1],
        edgecolor="white",
        linewidth=0,
        label="outside",
    )
    if drawn:
        halves = row_values.half_widths(drawn)
        axis.errorbar(places, inside, yerr=halves, fmt="none", ecolor="#000000", elinewidth=0.9)
    for side, name, colour, label in (
        (-1, "null", "#E69F00", "null: random subspaces"),
        (1, "base_null", "#D55E00", "null: base covariance"),
    ):
        at = [place + side * (WIDTH / 2 + 0.05) for place in places]
        lows = [row_values.number(row, f"{name}_low") for row in drawn]
        highs = [row_values.number(row, f"{name}_high") for row in drawn]
        axis.vlines(at, lows, highs, colors=colour, linewidth=2.2, label=label)
    own = {models[str(row["model"])]: row for row in row_values.drawable(ceilings)}
    tops = [row_values.number(own[place], "value") for place in places if place in own]
    known = [place for place in places if place in own]
    left, right = ([place + side * WIDTH / 2 for place in known] for side in (-1, 1))
    axis.hlines(tops, left, right, colors="#000000", linewidth=1.2, linestyle="--", label="ceiling")
    lost = [place for place in models.values() if place not in places]
    if lost:
        heights, at_bottom = [0.03] * len(lost), axis.get_xaxis_transform()
        text = "inside SFT's subspace" + marks.MISSING
        axis.plot(lost, heights, "x", color=shade, transform=at_bottom, label=text)
