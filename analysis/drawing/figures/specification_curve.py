"""Does an answer depend on where one looks? Its numbers at every place, sorted, and the choices.

Simonsohn, Simmons and Nelson 2020, *Specification curve analysis*, figure 2: estimates above, the
choices behind each below.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.answering.answer import Evidence, Specification, Specifications, Verdict
from analysis.drawing import marks
from analysis.drawing.figure import Drawing, Material

CAPTION = (
    "{question} {words} Above: {metric} of each model at each place, sorted, with 95 % intervals; "
    "colour and mark give the answer at that place. Below: the choices behind each number."
)
LOOKS = {
    Verdict.YES: (marks.OKABE_ITO[0], "o", "full"),
    Verdict.NO: (marks.OKABE_ITO[1], "s", "full"),
    Verdict.MIXED: (marks.OKABE_ITO[2], "D", "none"),
    Verdict.UNDECIDED: ("#7F7F7F", "^", "none"),
}
"""Verdict -> colour, marker and fill."""
CHOICE_HEIGHT, CURVE_HEIGHT = 0.135, 2.0
"""Inches of a line of choices, and of the curve."""
MOST_VALUES = 16
"""A choice with more values than this has no lines of its own."""


@dataclass(frozen=True)
class _Point:
    """One number at one place."""

    value: float
    low: float
    high: float
    verdict: Verdict
    choices: Mapping[str, str]


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing per answer that is not the same at every place."""
    for name, (question, curve) in material.specifications().items():
        points = _points(curve)
        if curve.num_holding < len(curve.of) and points:
            metric = next(piece.metric for each in curve.of for piece in each.numbers)
            yield Drawing(
                name=f"{name}-specification-curve",
                caption=CAPTION.format(question=question, words=curve.in_words, metric=metric),
                canvas=draw(points, metric),
            )


def _points(curve: Specifications) -> list[_Point]:
    points = [
        _point(each, piece, piece.estimate.value, piece.estimate.low, piece.estimate.high)
        for each in curve.of
        for piece in each.numbers
        if piece.estimate is not None
    ]
    return sorted(points, key=lambda point: point.value)


def _point(
    at: Specification, piece: Evidence, value: float, low: float | None, high: float | None
) -> _Point:
    place = {"site": at.site, "position": at.position, "depth": f"{at.depth:.2g}"}
    if at.centring:
        place["about"] = at.centring
    return _Point(
        value,
        value if low is None else low,
        value if high is None else high,
        at.verdict,
        {**place, **piece.cell},
    )


def draw(points: Sequence[_Point], metric: str) -> Figure:
    """Draw the curve and, below it, one line of marks per value of each choice that varies."""
    lines = _lines(points)
    shown, higher = marks.names_beside([f"{name} {value}" for name, value in lines])
    choices = (CHOICE_HEIGHT + higher) * len(lines)
    with marks.style():
        height = CURVE_HEIGHT + choices + 0.6
        figure = Figure(figsize=(marks.PAGE_WIDTH, height), layout="constrained")
        above, below = figure.subplots(
            2, 1, sharex=True, height_ratios=(CURVE_HEIGHT, max(choices, 0.2))
        )
        _curve(above, points)
        _choices(below, points, lines, shown)
        above.set_ylabel(metric)
        below.set_xlabel("numbers, sorted")
        above.set_xlim(-1, len(points))
        marks.finish(figure, [above])
    return figure


def _curve(axis: Axes, points: Sequence[_Point]) -> None:
    for verdict, (colour, marker, fill) in LOOKS.items():
        own = [(at, point) for at, point in enumerate(points) if point.verdict is verdict]
        if own:
            values = [point.value for _, point in own]
            axis.errorbar(
                [at for at, _ in own],
                values,
                # Rounding may put an end beyond the value.
                yerr=[
                    [max(point.value - point.low, 0.0) for _, point in own],
                    [max(point.high - point.value, 0.0) for _, point in own],
                ],
                fmt=marker,
                color=colour,
                fillstyle=fill,
                markersize=3,
                elinewidth=0.6,
                capsize=0,
                label=f"answer {verdict.value}",
            )
    if points[0].low < 0 < points[-1].high:
        axis.axhline(0, color="black", linewidth=0.6)


def _lines(points: Sequence[_Point]) -> list[tuple[str, str]]:
    """Return choice and value of each line, top first; choices that all share have none."""
    names = dict.fromkeys(name for point in points for name in point.choices)
    lines = []
    for name in names:
        values = dict.fromkeys(p.choices[name] for p in points if name in p.choices)
        if 1 < len(values) <= MOST_VALUES:
            lines += [(name, value) for value in sorted(values)]
    return lines


def _choices(
    axis: Axes, points: Sequence[_Point], lines: Sequence[tuple[str, str]], shown: Sequence[str]
) -> None:
    names = list(dict.fromkeys(name for name, _ in lines))
    for place, (name, value) in enumerate(lines):
        own = [at for at, point in enumerate(points) if point.choices.get(name) == value]
        axis.plot(own, [place] * len(own), "|", color="black", markersize=4.5)
        if names.index(name) % 2:
            axis.axhspan(place - 0.5, place + 0.5, color="#F0F0F0", linewidth=0, zorder=0)
    axis.set_yticks(range(len(lines)), shown)
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.grid(visible=False)
    axis.tick_params(axis="y", length=0)
