"""Which transforms do what: a heat map of conditions against metrics, a panel per model."""

from collections.abc import Iterator, Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Drawing, Material
from analysis.drawing.marks import SMALLEST, finish, names_beside, notes, panels, style
from analysis.drawing.model_styles import by_family
from analysis.drawing.row_values import QUIET, drawable, missing_note, number, of_two, readable
from analysis.measurement import Row, label_of
from analysis.tables.bypass_remarks import DECODE_CONTROL
from analysis.tables.layout import TableLayout, axis_values
from analysis.tables.rounding import format_number

AXIS = "condition"
METRICS = (
    *("toxic_mass", "toxic_rate", DECODE_CONTROL, "relative_norm", "mean_cosine"),
    *("captured_energy_ratio", "toxic_projection", "reactivation"),
)
"""What tells whether a transform gets past alignment, as a reader asks."""
SQUARE = 0.19
"""Inches of height of a square whose name is one line."""
GONE, FAINT = "×", "○"
MARKS = {GONE: "no number", FAINT: "below the noise floor"}
CAPTION = (
    "Every transform against every metric, one panel per model, at one relative depth. Shades run "
    "from the least to the greatest number of a column in the whole figure. The decode loss gap is "
    "the base's where the aligned model's was not measured; all else is of the aligned model."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing per objective that was measured under several conditions."""
    measured = [name for name in METRICS if material.measures(name)]
    rows = [
        row
        for name in measured
        for row in material.rows(name)
        if name == DECODE_CONTROL or _is_of_aligned(row)
    ]
    if not rows or AXIS not in rows[0]:
        return
    for cut in cuts(rows, material.layout, inside=(AXIS,)):
        # The base's control stands in every cut: alone it makes no comparison.
        aligned = [row for row in cut.rows if _is_of_aligned(row)]
        if drawable(cut.rows) and len({row[AXIS] for row in aligned} - {None}) > 1:
            canvas = draw(cut.rows, layout=material.layout, note=cut.note)
            yield Drawing(name=f"transforms{cut.suffix}", caption=CAPTION, canvas=canvas)


def _is_of_aligned(row: Row) -> bool:
    return row.get("objective", "") is not None


def draw(rows: Sequence[Row], *, layout: TableLayout | None = None, note: str = "") -> "Figure":
    """`rows` are of several metrics and conditions, of one objective."""
    metrics = {row["metric"] for row in drawable(of_two(rows)[0])}
    names = [name for name in METRICS if name in metrics]
    rows = [row for row in rows if row["metric"] in metrics]
    conditions = [
        name for name in axis_values(rows, AXIS, layout or TableLayout()) if name is not None
    ]
    models = by_family(rows)
    ends = {name: _ends([row for row in rows if row["metric"] == name]) for name in names}
    shown, higher = names_beside(conditions)
    with style():
        height = SQUARE + higher
        figure, axes = panels(models, across=2, height=height * len(conditions) + 1.25)
        for axis, model in zip(axes, models, strict=True):
            own = {
                (str(row["metric"]), label_of(row[AXIS])): row
                for row in sorted(rows, key=lambda row: row.get("objective") is not None)
                if row["model"] == model and row[AXIS] is not None
            }
            for across, name in enumerate(names):
                for down, condition in enumerate(conditions):
                    _square(axis, across, down, own.get((name, condition)), ends[name])
            axis.set_xlim(-0.5, len(names) - 0.5)
            axis.set_ylim(len(conditions) - 0.5, -0.5)
            axis.set_xticks(range(len(names)), map(readable, names), rotation=40, ha="right")
            axis.set_yticks(range(len(conditions)), shown)
            axis.grid(False)
        finish(figure, axes, notes(_marks(axes), missing_note(rows), note))
    return figure


def _marks(axes: "Sequence[Axes]") -> str:
    """Return what the marks that stand for a number mean, of those drawn."""
    drawn = {text.get_text() for axis in axes for text in axis.texts}
    meanings = [f"{mark} {meaning}" for mark, meaning in MARKS.items() if mark in drawn]
    return f"{', '.join(meanings)}." if meanings else ""


def _ends(rows: Sequence[Row]) -> tuple[float, float]:
    values = [number(row, "value") for row in drawable(rows)]
    return (min(values), max(values)) if values else (0.0, 0.0)


def _square(
    axis: "Axes", across: int, down: int, row: Row | None, ends: tuple[float, float]
) -> None:
    """One number on its shade; pale to dark, so that grey paper keeps the order."""
    there = row is not None and bool(drawable([row]))
    share, text = 0.0, GONE if row is None or row["status"] != QUIET else FAINT
    if there:
        assert row is not None
        value = number(row, "value")
        share = (value - ends[0]) / (ends[1] - ends[0]) if ends[1] > ends[0] else 0.0
        text = _brief(value)
    shade = colormaps["cividis_r"](0.05 + 0.9 * share) if there else "white"
    corner = (across - 0.48, down - 0.48)
    axis.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=shade, edgecolor="none"))
    ink = "white" if there and share > 0.5 else "black"
    axis.text(across, down, text, ha="center", va="center", color=ink, fontsize=SMALLEST)


def _brief(value: float) -> str:
    """Return two digits, fewer of a small number: a square has room for five letters.

    What is not 1 never looks as if it were: 0.996 and 0.9996 have three digits.
    """
    size = abs(value)
    if 0.995 <= size < 1:
        return f"{min(size, 0.999) * (1 if value > 0 else -1):.3f}"
    if size == 0 or size >= 0.01:
        return format_number(value, 2)
    if size >= 0.00095:  # below, three decimals would be as much as twice the number
        return f"{value:.3f}"
    digit, exponent = f"{value:.0e}".split("e")
    return f"{digit}e{int(exponent)}"
