"""Behaviour of every model, unaligned beside each objective: what did alignment change?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.figure import (
    MISSING,
    OKABE_ITO,
    drawable,
    finish,
    half_widths,
    label_values,
    number,
    panels,
    readable,
    style,
    value_limits,
)
from analysis.layout import Layout, axis_values, blank_name
from analysis.measurement import Row
from analysis.rounding import format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNALIGNED_SHADE = "#9A9A9A"
GROUP_WIDTH = 0.8


def draw(
    rows: Sequence[Row],
    *,
    bars: str = "objective",
    panel: str | None = "condition",
    layout: Layout | None = None,
    label: str | None = None,
) -> "Figure":
    """One panel per value of `panel`, one group of bars per model by size, one bar per `bars`.

    `rows` are of one behaviour metric, combined over seeds. A cross above the axis is a
    missing number; a measured zero has no cross.
    """
    layout = layout or Layout()
    names = axis_values(rows, bars, layout)
    titles = axis_values(rows, panel, layout)
    models = _models(rows)
    with style():
        figure, axes = panels([title or " " for title in titles])
        if len(models) > 6:
            figure.set_size_inches(figure.get_figwidth() * len(models) / 6, figure.get_figheight())
        for axis, title in zip(axes, titles, strict=True):
            here = [row for row in rows if panel is None or row.get(panel) == title]
            colours = iter(OKABE_ITO)
            for index, name in enumerate(names):
                shade = UNALIGNED_SHADE if name is None else next(colours)
                text = name or blank_name(bars, True, layout)
                own = {str(row["model"]): row for row in here if row.get(bars) == name}
                _bars(axis, own, models, index, len(names), shade, text)
            axis.set_xticks(range(len(models)), models.values(), rotation=35, ha="right")
            axis.grid(False, axis="x")
            bottom, top = value_limits(drawable(rows), log=False)
            negative = any(number(row, "value") < 0 for row in drawable(rows))
            axis.set_ylim(bottom if negative else 0.0, top)
        label_values(axes, label or readable(str(rows[0]["metric"]) if rows else ""))
        finish(figure, axes)
    return figure


def _bars(
    axis: "Axes",
    own: dict[str, Row],
    models: dict[str, str],
    index: int,
    count: int,
    shade: str,
    text: str,
) -> None:
    width = GROUP_WIDTH / count
    shift = (index - (count - 1) / 2) * width
    present = {str(row["model"]): row for row in drawable(list(own.values()))}
    drawn = [(place, present[model]) for place, model in enumerate(models) if model in present]
    lost = [place + shift for place, model in enumerate(models) if model not in present]
    axis.bar(
        [place + shift for place, _ in drawn],
        [number(row, "value") for _, row in drawn],
        width * 0.92,
        yerr=half_widths([row for _, row in drawn]) if drawn else None,
        color=shade,
        ecolor="#303030",
        error_kw={"elinewidth": 0.7, "capsize": 1.5},
        label=text,
    )
    if lost:
        heights = [0.03] * len(lost)  # of the panel: just above the axis, clear of its ticks
        place = axis.get_xaxis_transform()
        axis.plot(lost, heights, "x", color=shade, transform=place, label=text + MISSING)


def _models(rows: Sequence[Row]) -> dict[str, str]:
    """Models by family and counted parameters, with the tick text of each."""
    facts = {str(row["model"]): row for row in rows}
    ordered = sorted(
        facts.values(), key=lambda row: (str(row["family"]), number(row, "num_parameters"))
    )
    sizes = {str(row["model"]): row["num_parameters"] for row in ordered}
    counted = {
        name: "?" if size is None else format_count(int(size)) for name, size in sizes.items()
    }
    return {name: f"{facts[name]['family']} {size}" for name, size in counted.items()}
