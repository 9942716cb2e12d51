"""Behaviour of every model, unaligned beside each objective: what did alignment change?"""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import marks, row_values
from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Drawing, Material
from analysis.drawing.model_styles import ticks_of
from analysis.measurement import Row, label_at
from analysis.tables.layout import TableLayout, axis_values, blank_name

UNALIGNED_SHADE = "#9A9A9A"
GROUP_WIDTH = 0.8


CAPTION = (
    "{label} of every model, by family and size, before alignment and after; 95 % intervals. A "
    "cross is a missing number."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing of every metric shown that no layer has."""
    for metric in material.metrics:
        inside = ("objective", "condition")
        for cut in cuts(_rows(material, metric), material.layout, each=(), inside=inside):
            measured = [row for row in cut.rows if row["value"] is not None]
            if measured and all(row["layer"] is None for row in measured):
                label = row_values.readable(metric)
                yield Drawing(
                    name=f"{metric}-behaviour",
                    caption=marks.captioned(CAPTION, label),
                    canvas=draw(
                        cut.rows,
                        layout=material.layout,
                        note=marks.notes(cut.note, material.about_stages(cut.rows)),
                    ),
                )


def _rows(material: Material, metric: str) -> list[Row]:
    """Return a metric's rows; where no axis says which models were aligned, by their objective."""
    rows = material.rows(metric)
    if not rows or "objective" in rows[0]:
        return rows
    known = material.circumstances()
    about = [known.get(str(row["key"]).partition(" ")[0]) for row in rows]
    return [
        {**row, "objective": own.objective if own else None}
        for row, own in zip(rows, about, strict=True)
    ]


def draw(
    rows: Sequence[Row],
    *,
    bars: str = "objective",
    panel: str | None = "condition",
    layout: TableLayout | None = None,
    label: str | None = None,
    note: str = "",
) -> "Figure":
    """One panel per value of `panel`, one group of bars per model by size, one bar per `bars`.

    `rows` are of one behaviour metric, combined over seeds. A cross above the axis is a
    missing number; a measured zero has no cross.
    """
    layout = layout or TableLayout()
    names = axis_values(rows, bars, layout)
    titles = axis_values(rows, panel, layout)
    models = ticks_of(rows)
    with marks.style():
        across = 3 if len(models) * len(names) <= 12 else 2 if len(models) * len(names) <= 24 else 1
        figure, axes = marks.panels([title or " " for title in titles], across=across)
        if across == 1 and len(models) * len(names) > 12:
            figure.set_figwidth(marks.PAGE_WIDTH)
        for axis, title in zip(axes, titles, strict=True):
            here = [row for row in rows if panel is None or label_at(row, panel) == title]
            colours = iter(marks.OKABE_ITO)
            for index, name in enumerate(names):
                shade = UNALIGNED_SHADE if name is None else next(colours)
                text = name or blank_name(bars, True, layout)
                own = {str(row["model"]): row for row in here if label_at(row, bars) == name}
                hatch = marks.HATCHES[index % len(marks.HATCHES)]
                _bars(axis, own, models, index, len(names), shade, hatch, text)
            axis.set_xticks(range(len(models)), models.values(), rotation=35, ha="right")
            axis.grid(False, axis="x")
            bottom, top = row_values.value_limits(row_values.drawable(rows), log=False)
            negative = any(row_values.number(row, "value") < 0 for row in row_values.drawable(rows))
            axis.set_ylim(bottom if negative else 0.0, top)
        marks.label_values(axes, label or row_values.metric_label(rows))
        marks.finish(figure, axes, marks.notes(row_values.missing_note(rows), note))
    return figure


def _bars(
    axis: "Axes",
    own: dict[str, Row],
    models: dict[str, str],
    index: int,
    count: int,
    shade: str,
    hatch: str,
    text: str,
) -> None:
    width = GROUP_WIDTH / count
    shift = (index - (count - 1) / 2) * width
    present = {str(row["model"]): row for row in row_values.drawable(list(own.values()))}
    drawn = [(place, present[model]) for place, model in enumerate(models) if model in present]
    lost = [place + shift for place, model in enumerate(models) if model not in present]
    axis.bar(
        [place + shift for place, _ in drawn],
        [row_values.number(row, "value") for _, row in drawn],
        width * 0.92,
        yerr=row_values.half_widths([row for _, row in drawn]) if drawn else None,
        color=shade,
        edgecolor="white",
        hatch=hatch,
        linewidth=0,
        ecolor="#303030",
        error_kw={"elinewidth": 0.7, "capsize": 1.5},
        label=text,
    )
    if lost:
        heights = [0.03] * len(lost)  # of the panel: just above the axis, clear of its ticks
        place = axis.get_xaxis_transform()
        axis.plot(lost, heights, "x", color=shade, transform=place, label=text + marks.MISSING)
