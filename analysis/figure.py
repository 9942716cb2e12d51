"""What all figures share: style, colours that the colour-blind can tell apart, and fixed bytes.

Figures are matplotlib `Figure` objects made inside `style()`; pyplot and its state are never used.
"""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from analysis.measurement import Row
from analysis.status import Status

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe & Ito (2008), the strongest contrasts on white first; its yellow is too pale for a line."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
PANEL_WIDTH, PANEL_HEIGHT = 3.1, 2.7
MAX_PANELS_ACROSS = 4
ROOM = 0.4  # share of the values' span that intervals may add
DPI = 200

MISSING = ", missing"  # end of the legend text of what could not be drawn
QUIET = Status.BELOW_NOISE_FLOOR

_STYLE = {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "legend.fontsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.which": "major",
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "errorbar.capsize": 2,
    "svg.hashsalt": "deltascale",  # else every id in an SVG is random
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}

_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}


@contextmanager
def style() -> Iterator[None]:
    """Draw and save inside this: our settings, whatever the user's matplotlibrc says."""
    from matplotlib import rc_context, rcdefaults

    with rc_context():
        rcdefaults()
        with rc_context(_STYLE):  # type: ignore[arg-type]  # the stubs want a literal
            yield


def to_bytes(figure: "Figure", suffix: str) -> bytes:
    """The figure as png (200 dpi), pdf or svg; equal figures give equal bytes."""
    kind = suffix.removeprefix(".")
    if kind not in _METADATA:
        raise ValueError(f"figures are written as {', '.join(_METADATA)}, not {suffix!r}")
    out = io.BytesIO()
    with style():
        figure.savefig(out, format=kind, dpi=DPI, metadata=_METADATA[kind])
    return out.getvalue()


def panels(titles: Sequence[str], across: int = 3) -> "tuple[Figure, list[Axes]]":
    """A figure with one titled panel per entry, on one scale so that they can be compared."""
    from matplotlib.figure import Figure

    across = max(1, min(across, len(titles), MAX_PANELS_ACROSS))
    down = -(-len(titles) // across)
    size = (PANEL_WIDTH * across + 0.4, PANEL_HEIGHT * down + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    axes = [axis for line in grid for axis in line]
    for spare in axes[len(titles) :]:
        spare.set_visible(False)
    for axis, title in zip(axes, titles, strict=False):
        axis.set_title(title)
        axis.tick_params(labelbottom=True)
    return figure, axes[: len(titles)]


def label_values(axes: Sequence["Axes"], text: str) -> None:
    """Name the values once per line of panels."""
    for axis in axes:
        place = axis.get_subplotspec()
        if place is None or place.is_first_col():
            axis.set_ylabel(text)


def finish(figure: "Figure", axes: Sequence["Axes"], columns: int = 4) -> None:
    """One legend under all panels, each entry once; then the layout is settled for good.

    Constrained layout moves a little at every save, which would change the bytes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    entries: dict[str, Artist] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        labels = sorted(entries, key=lambda label: label.endswith(MISSING))
        handles = [entries[label] for label in labels]
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def value_limits(rows: Sequence[Row], log: bool) -> tuple[float, float]:
    """Ends of the value axis: all values, and their intervals unless these are beyond measure.

    Two seeds give t intervals of thirteen standard errors; one such bar may leave the panel
    rather than flatten all the others.
    """
    values = [number(row, "value") for row in rows]
    lows = [low for row in rows if math.isfinite(low := number(row, "low"))] + values
    highs = [high for row in rows if math.isfinite(high := number(row, "high"))] + values
    if not values:
        return (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        bottom = max(min((low for low in lows if low > 0), default=0.0), min(values) / 2.5)
        return bottom / 1.1, min(max(highs), max(values) * 2.5) * 1.1
    span = max(*values, 0.0) - min(*values, 0.0) or 1.0
    bottom = max(min(lows), min(values) - span * ROOM)
    top = min(max(highs), max(values) + span * ROOM)
    bottom, top = min(bottom, 0.0) * 1.05, max(top, 0.0) * 1.05
    return (bottom, top) if top > bottom else (0.0, 1.0)


def number(row: Row, name: str) -> float:
    """A field as a number to draw; a missing one is NaN, which matplotlib leaves out."""
    value = row[name]
    return float("nan") if value is None else float(value)


def drawable(rows: Sequence[Row]) -> list[Row]:
    """Rows that have a number above the noise floor."""
    return [row for row in rows if row["value"] is not None and row["status"] != QUIET]


def half_widths(rows: Sequence[Row]) -> list[list[float]]:
    """Distances from the values to their interval's ends, as error bars want them."""
    below = [max(number(row, "value") - number(row, "low"), 0.0) for row in rows]
    above = [max(number(row, "high") - number(row, "value"), 0.0) for row in rows]
    return [[0.0 if span != span else span for span in side] for side in (below, above)]


def readable(metric: str) -> str:
    """A metric's name as an axis label."""
    return metric.replace("_", " ")
