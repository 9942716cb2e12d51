"""A metric against counted parameters: does it hold as models grow?"""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.drawing import marks, row_values
from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Drawing, Material
from analysis.drawing.null_bands import Null, draw_nulls
from analysis.measurement import Row, label_at
from analysis.tables.exponent_agreement import disagreement
from analysis.tables.layout import TableLayout, axis_values, blank_name
from analysis.tables.power_laws import MIN_SIZES, SIZES, UNSHARED, PowerLaw, fit_rows
from analysis.tables.rounding import format_ends

DODGE = 1.04
"""Factor in size between the points of two colours, so that they do not hide each other."""

LAW_TAKES = f"{MIN_SIZES} sizes with values above 0 that differ"
"""What a family must have for a power law, in words."""

MARKS = {
    "*": "Under six sizes: describes these sizes, is no law.",
    "†": "Over parameters, parameters without embeddings and width exponents disagree: see the "
    "scaling table.",
    "‡": "The errors that sizes share are not in the interval.",
}
"""What stands behind an exponent -> what it says."""

BANDS = {
    "random": "hatched bands are what random directions give",
    "base": "grey bands are what the base activations' own covariance gives",
    "floor": "the grey dashed line is the noise floor of the base model against itself",
}
"""Part of `Null` -> what the caption says of it, where it is drawn."""


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing of every metric shown of which two sizes have a number."""
    for metric in material.metrics:
        every, left = row_values.of_two(material.rows(metric))
        for cut in cuts(every, material.layout, each=(), inside=("objective", "condition")):
            if len({row["num_parameters"] for row in row_values.drawable(cut.rows)}) > 1:
                label = row_values.spectrum_label(metric, cut.rows)
                note = marks.notes(left, cut.note, material.about_stages(cut.rows))
                yield Drawing(
                    name=f"{metric}-against-size",
                    caption=marks.captioned(_caption(cut.rows), label),
                    canvas=draw(cut.rows, layout=material.layout, label=label, note=note),
                )


def _caption(rows: Sequence[Row], against: str = "num_parameters") -> str:
    """Return a caption of what is drawn, and of nothing else."""
    drawn = [row for row in row_values.drawable(rows) if row[against] is not None]
    series: dict[tuple[str | None, ...], list[Row]] = {}
    for row in drawn:
        names = ("objective", "condition", "family")
        series.setdefault(tuple(label_at(row, name) for name in names), []).append(row)
    laws = [fit_rows(own, against) for own in series.values()]
    joined = [
        law.exponent is None and len({row[against] for row in own}) > 1
        for law, own in zip(laws, series.values(), strict=True)
    ]
    nulls = Null.of_rows(drawn, against)
    parts = ["{label} against counted parameters"]
    if any(row["layer"] is not None for row in drawn):
        parts[0] += ", at one relative depth"
    if any(law.exponent is not None for law in laws):
        parts.append(
            "lines are power laws a · size^b, b above the panel with "
            "its 95 % interval, over the prompts that sizes share and over sizes"
        )
    if any(joined):
        parts.append(f"thin lines join the sizes of a family without one, which takes {LAW_TAKES}")
    parts += [told for part, told in BANDS.items() if getattr(nulls, part)]
    return f"{'; '.join(parts)}."


def draw(
    rows: Sequence[Row],
    *,
    colour: str | None = "objective",
    panel: str | None = "condition",
    layout: TableLayout | None = None,
    against: str = "num_parameters",
    label: str | None = None,
    note: str = "",
) -> "Figure":
    """One panel per value of `panel`; colour and marker are `colour`, fill and dashes the family.

    `rows` are of one metric at one place, combined over seeds. The line is the power law where
    there is one in a family, with its exponent in the panel.
    """
    layout = layout or TableLayout()
    colours = axis_values(rows, colour, layout)
    blank = blank_name(colour, len(colours) > 1, layout) if colour else ""
    families = sorted({str(row["family"]) for row in rows})
    drawn = [row for row in row_values.drawable(rows) if row[against] is not None]
    titles = axis_values(drawn or rows, panel, layout)
    nulls = Null.of_rows(drawn, against)
    positive = bool(drawn) and all(row_values.number(row, "value") > 0 for row in drawn)
    log = positive and not nulls.signed
    sizes = [row_values.number(row, against) for row in drawn] or [1.0]
    limits = nulls.widened(row_values.value_limits(drawn, log), log)
    with marks.style():
        figure, axes = marks.panels([name or " " for name in titles], across=2)
        remarks: list[str] = []
        for axis, title in zip(axes, titles, strict=True):
            axis.set_xscale("log")
            axis.set_yscale("log" if log else "linear")
            axis.set_xlim(min(sizes) / 1.3, max(sizes) * 1.3)
            axis.set_ylim(limits)
            _ticks(axis, log)
            here = [row for row in drawn if panel is None or label_at(row, panel) == title]
            draw_nulls(axis, Null.of_rows(here, against), limits)
            laws: list[tuple[str, str]] = []
            for (index, name), (rank, family) in product(enumerate(colours), enumerate(families)):
                own = [row for row in here if row["family"] == family]
                own = [row for row in own if colour is None or label_at(row, colour) == name]
                text = ", ".join(filter(None, (name or blank, family)))
                aside = DODGE ** (index - (len(colours) - 1) / 2)
                law = _series(axis, own, against, text, index, rank, aside)
                laws += [(law, marks.OKABE_ITO[index % len(marks.OKABE_ITO)])] if law else []
            _annotate(axis, laws)
            remarks += [text for text, _ in laws]
        marks.label_values(axes, label or row_values.metric_label(rows))
        marks.label_places(axes, SIZES.get(against, against))
        marks.finish(figure, axes, row_values.notes_on(drawn, rows, note, _about_fits(remarks)))
    return figure


def _series(
    axis: "Axes", rows: Sequence[Row], against: str, text: str, index: int, rank: int, aside: float
) -> str | None:
    """Points with intervals, and the fitted line or a thin one through them; the fit in words."""
    if not rows:
        return None
    shade = marks.OKABE_ITO[index % len(marks.OKABE_ITO)]
    rows = sorted(rows, key=lambda row: row_values.number(row, against))
    sizes = [row_values.number(row, against) for row in rows]
    values = [row_values.number(row, "value") for row in rows]
    axis.errorbar(
        [size * aside for size in sizes],
        values,
        yerr=row_values.half_widths(rows),
        fmt=marks.MARKERS[index % len(marks.MARKERS)],
        color=shade,
        fillstyle=marks.FILLS[rank % len(marks.FILLS)],
        elinewidth=0.9,
        label=text,
    )
    law = fit_rows(rows, against)
    dashes = marks.DASHES[rank % len(marks.DASHES)]
    if law.exponent is None:
        axis.plot(sizes, values, color=shade, linewidth=0.7, linestyle=dashes, alpha=0.6)
        return None
    line = np.geomspace(sizes[0], sizes[-1], 50)
    axis.plot(line, law.at(line), color=shade, linestyle=dashes)
    apart = disagreement([law, *(fit_rows(rows, other) for other in SIZES if other != against)])
    marked = (
        describe(law) + ("†" if apart else "") + ("‡" if UNSHARED in (law.caution or "") else "")
    )
    return f"{text}: {marked}"


def describe(law: PowerLaw) -> str:
    """Return the exponent with its interval, and whether it is more than a description."""
    assert law.exponent is not None
    exponent, few = law.exponent, "*" if law.descriptive else ""
    assert exponent.low is not None and exponent.high is not None, "a line has an interval"
    words = format_ends(exponent.value, exponent.low, exponent.high)
    return f"b = {words}, n = {law.num_sizes}{few}"


def _about_fits(laws: Sequence[str]) -> str:
    """Return what a reader of the exponents, or of lines without any, must know."""
    if not laws:
        return f"No power law: that takes {LAW_TAKES} in a family."
    written = "".join(laws)
    return " ".join(f"{mark} {about}" for mark, about in MARKS.items() if mark in written)


def _annotate(axis: "Axes", laws: list[tuple[str, str]]) -> None:
    """Exponents under the panel's title, in the colour of their line."""
    if laws:
        axis.set_title(axis.get_title(), pad=6 + 9 * len(laws))
    for index, (text, shade) in enumerate(reversed(laws)):
        axis.annotate(
            text,
            (0.5, 1.0),
            (0, 4 + 9 * index),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            color=shade,
            fontsize=marks.SMALLEST,
        )


def _ticks(axis: "Axes", log: bool) -> None:
    """Sizes as 30k, 100k, 300k; values as plain numbers."""
    _log_ticks(axis.xaxis, axis.get_xlim())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda size, _: _short(size)))
    if log:
        _log_ticks(axis.yaxis, axis.get_ylim())
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _log_ticks(axis: "Axis", ends: tuple[float, float]) -> None:
    """Few, and never none: a short axis has no power of ten, a long one no room for others."""
    times = ends[1] / ends[0]
    subs = (1, 2, 5) if times < 10 else (1, 3) if times < 100 else (1,)
    axis.set_major_locator(MaxNLocator(4) if times < 4 else LogLocator(subs=subs))
    axis.set_minor_locator(NullLocator())


def _short(size: float) -> str:
    """300000 as `300k`."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{size / unit:g}{name}"
    return f"{size:g}"
