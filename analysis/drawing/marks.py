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
LINE = 1.25
"""Distance of two lines over the size of letters."""
HANDLE = 38
"""Points of an entry of a legend before its letters."""
NAME_WIDTH = 1.4
"""Inches that a name beside an axis has before it is folded."""

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
    """Return text in lines of at most so many inches; longer words are cut behind `_`, `.`, `+`."""
    letters = max(int(width * 72 / (size * LETTER)), 8)
    lines = [
        line
        for own in text.split("\n")
        for line in fill(own, letters, break_long_words=False).split("\n")
    ]
    return "\n".join(part for line in lines for part in _cut(line, letters))


def _cut(line: str, letters: int) -> list[str]:
    """Cut a line that is a word too long for it."""
    parts = []
    while len(line) > letters:
        at = 1 + max(line.rfind(mark, 0, letters) for mark in "_.+") or letters
        parts.append(line[:at])
        line = line[at:]
    return [*parts, line]


def names_beside(names: Sequence[str]) -> tuple[list[str], float]:
    """Return names for the ticks of a value axis, folded, and how much higher that makes a tick."""
    folded = [wrapped(name, NAME_WIDTH) for name in names]
    lines = max((name.count("\n") for name in folded), default=0)
    return folded, lines * SMALLEST * LINE / 72


def label_places(axes: Sequence["Axes"], text: str) -> None:
    """Name the places under every panel that has its own, else once per column."""
    for axis in axes:
        if axis.xaxis.get_tick_params()["labelbottom"]:
            place, figure = axis.get_subplotspec(), axis.get_figure()
            assert place is not None and isinstance(figure, Figure)
            across = place.get_gridspec().ncols
            axis.set_xlabel(wrapped(text, 0.75 * figure.get_figwidth() / across, 7.5))


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
        folded = {label: wrapped(label, 0.94 * width - HANDLE / 72) for label in labels}
        letters = max(len(line) for text in folded.values() for line in text.split("\n"))
        longest = letters * SMALLEST * LETTER + HANDLE
        columns = max(1, min(4, int(width * 72 / longest), len(labels)))
        legend = figure.legend(
            [entries[label] for label in labels],
            [folded[label] for label in labels],
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
