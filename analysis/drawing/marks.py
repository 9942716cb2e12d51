"""What all figures share: style, panels at their size in print, colours that all can tell apart.

Figures are matplotlib `Figure` objects made inside `style()`; pyplot and its state are never used.
A figure is as wide as a column or a page of a paper, so that no letter is under 7 points there.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import Literal

from matplotlib import rc_context, rcdefaults
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe & Ito (2008), the strongest contrasts on white first; its yellow is too pale for a line."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///", "\\\\\\", "xxx", "---", "|||")
FILLS = ("full", "none", "left", "top", "right")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
COLUMN_WIDTH, PAGE_WIDTH = 3.35, 6.75
"""Inches, of the two-column papers that figures go to."""
PANEL_HEIGHT = 2.1
MAX_PANELS_ACROSS = 3
SMALLEST = 7.0
"""Points, of ticks, legends and notes."""
LETTER = 0.56
"""Width of a letter over its size, a little above the mean of the font."""

MISSING = ", missing"  # end of the legend text of what could not be drawn

_STYLE = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": SMALLEST,
    "ytick.labelsize": SMALLEST,
    "legend.fontsize": SMALLEST,
    "legend.handlelength": 2.6,  # room for the dashes
    "figure.labelsize": SMALLEST,
    "hatch.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.which": "major",
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "errorbar.capsize": 2,
    "svg.hashsalt": "deltascale",  # else every id in an SVG is random
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw and save inside this: our settings, whatever the user's matplotlibrc says."""
    with rc_context():
        rcdefaults()
        with rc_context(_STYLE):  # type: ignore[arg-type]  # the stubs want a literal
            yield


def panels(
    titles: Sequence[str],
    across: int = MAX_PANELS_ACROSS,
    *,
    height: float = PANEL_HEIGHT,
    share: bool | Literal["values"] = True,
) -> "tuple[Figure, list[Axes]]":
    """Return a figure with one titled panel per entry, on one scale (`share`) where they compare.

    With `values` only the values are, and each panel has its own places.
    """
    across = max(1, min(across, len(titles), MAX_PANELS_ACROSS))
    down = max(-(-len(titles) // across), 1)
    width = COLUMN_WIDTH if across == 1 else PAGE_WIDTH
    figure = Figure(figsize=(width, height * down + 0.6), layout="constrained")
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(w_pad=0.07)  # type: ignore[call-arg]  # it stops a little short of the last label
    grid = figure.subplots(down, across, sharex=share is True, sharey=bool(share), squeeze=False)
    axes = [axis for line in grid for axis in line]
    for spare in axes[len(titles) :]:
        spare.remove()
    for index, (axis, title) in enumerate(zip(axes, titles, strict=False)):
        # Its place is given, else it is looked for at every drawing, among all tick labels.
        axis.set_title(wrapped(title, 0.8 * width / across, 8), y=1.0)
        # The last panel of each column, above a spare place too.
        axis.tick_params(labelbottom=share is not True or index + across >= len(titles))
    return figure, axes[: len(titles)]


def wrapped(text: str, width: float, size: float = SMALLEST) -> str:
    """Return text in lines of at most so many inches; a single word is never cut."""
    letters = max(int(width * 72 / (size * LETTER)), 8)
    return "\n".join(fill(line, letters, break_long_words=False) for line in text.split("\n"))


def label_places(axes: Sequence["Axes"], text: str) -> None:
    """Name the places under every panel that has its own, else once per column."""
    for axis in axes:
        if axis.xaxis.get_tick_params()["labelbottom"]:
            axis.set_xlabel(text)


def label_values(axes: Sequence["Axes"], text: str) -> None:
    """Name the values once per line of panels."""
    for axis in axes:
        place = axis.get_subplotspec()
        if place is None or place.is_first_col():
            axis.set_ylabel(wrapped(text, PANEL_HEIGHT, 7.5))


def finish(figure: "Figure", axes: Sequence["Axes"], note: str = "") -> None:
    """One legend under all panels, each entry once, and a note; then the layout is settled.

    Constrained layout moves a little at every save, which would change the bytes.
    """
    entries: dict[str, Artist] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    width = figure.get_figwidth()
    told = wrapped(note, 0.94 * width) or None
    if entries:
        labels = sorted(entries, key=lambda label: label.endswith(MISSING))
        longest = max(map(len, labels)) * SMALLEST * LETTER + 38  # points, with its handle
        columns = max(1, min(4, int(width * 72 / longest), len(labels)))
        legend = figure.legend(
            [entries[label] for label in labels],
            labels,
            loc="outside lower center",
            ncols=columns,
            title=told,
            title_fontsize=SMALLEST,
        )
        legend.get_title().set_multialignment("center")
    elif told:
        figure.supxlabel(told)
    for text in figure.findobj(Text):
        text.set_fontfeatures(["-liga"])  # a PDF would hold one more font for each ligature
    FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine("none")


def captioned(caption: str, label: str) -> str:
    """Return a caption that begins with what is drawn."""
    return caption.format(label=label[:1].upper() + label[1:])


def notes(*parts: str) -> str:
    """Sentences that are not empty, as one note."""
    return " ".join(part for part in parts if part)
