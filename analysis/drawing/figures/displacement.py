"""Likelihood displacement: how chosen and rejected answers' log-probability changed, by size."""

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from analysis.drawing import marks, row_values
from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Drawing, Material
from analysis.measurement import Row, label_at
from analysis.tables.layout import TableLayout, axis_values
from analysis.tables.rounding import format_count

SIDES = {"chosen_logp_change": "chosen", "rejected_logp_change": "rejected"}
LABEL = "change of log-probability (nats per token)"
CAPTION = (
    "{label} of the chosen and of the rejected side of pairs that no model was trained on, against "
    "counted parameters; 95 % intervals. Where both lie below 0, the chosen side is displaced: "
    "the margin grew while both became less likely."
)
_DODGE = 1.03


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing, a panel per objective, where changes of both sides were measured."""
    rows = [row for metric in SIDES for row in material.rows(metric)]
    if len({row["metric"] for row in row_values.drawable(rows)}) < len(SIDES):
        return
    for cut in cuts(rows, material.layout, each=(), inside=("objective",)):
        yield Drawing(
            name="likelihood-displacement",
            caption=marks.captioned(CAPTION, LABEL),
            canvas=draw(
                cut.rows,
                layout=material.layout,
                note=marks.notes(cut.note, material.about_stages(cut.rows)),
            ),
        )


def draw(
    rows: Sequence[Row],
    *,
    panel: str = "objective",
    layout: TableLayout | None = None,
    note: str = "",
) -> "Figure":
    """`rows` are of both metrics in SIDES, combined over seeds: a colour each, a fill a family."""
    known = [row for row in row_values.drawable(rows) if row["num_parameters"] is not None]
    titles = axis_values(known or rows, panel, layout or TableLayout())
    families = sorted({str(row["family"]) for row in known})
    sizes = sorted({row_values.number(row, "num_parameters") for row in known}) or [1.0]
    with marks.style():
        figure, axes = marks.panels([title or " " for title in titles])
        for axis, title in zip(axes, titles, strict=True):
            axis.axhline(0.0, color="#303030", linewidth=0.8)
            axis.set_xscale("log")
            axis.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)
            ticks = _apart(sizes)
            axis.set_xticks(ticks)
            axis.xaxis.set_minor_locator(NullLocator())
            axis.xaxis.set_major_formatter(FuncFormatter(lambda size, _: format_count(int(size))))
            axis.set_ylim(row_values.value_limits(known, log=False))
            here = [row for row in known if label_at(row, panel) == title]
            for index, (metric, side) in enumerate(SIDES.items()):
                for rank, family in enumerate(families):
                    own = [r for r in here if r["metric"] == metric and r["family"] == family]
                    own.sort(key=lambda row: row_values.number(row, "num_parameters"))
                    if not own:
                        continue
                    aside = _DODGE ** (rank - (len(families) - 1) / 2)
                    axis.errorbar(
                        [row_values.number(row, "num_parameters") * aside for row in own],
                        [row_values.number(row, "value") for row in own],
                        yerr=row_values.half_widths(own),
                        color=marks.OKABE_ITO[index],
                        marker=marks.MARKERS[index],
                        fillstyle=marks.FILLS[rank % len(marks.FILLS)],
                        linestyle=marks.DASHES[rank % len(marks.DASHES)],
                        elinewidth=0.7,
                        label=f"{side}, {family}" if len(families) > 1 else side,
                    )
        marks.label_values(axes, LABEL)
        marks.label_places(axes, "counted parameters")
        marks.finish(figure, axes, row_values.notes_on(known, rows, note))
    return figure


def _apart(sizes: Sequence[float]) -> list[float]:
    """Return the sizes that are far enough apart for their labels, the smallest first."""
    kept: list[float] = []
    for size in sizes:
        if not kept or size > 1.6 * kept[-1]:
            kept.append(size)
    return kept
