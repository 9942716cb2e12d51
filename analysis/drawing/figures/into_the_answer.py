"""What is left of alignment from token to token of an answer: one line per model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.drawing import marks, row_values
from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Drawing, Material
from analysis.drawing.model_styles import draw_models, model_styles
from analysis.measurement import Row, label_at
from analysis.tables.layout import TableLayout, axis_values

METRICS = {
    "token_kl": "KL(aligned||base), nats",
    "relative_norm": "norm of δ / norm of the base row",
    "first_token_cosine": "cosine with mean δ at the first token",
}
PREFILLED = {"toxic_mass": "toxic mass", "toxic_rate": "toxic rate"}
"""Behaviours after a begun reply, and what they are called."""
PREFILL = "prefill"
"""Axis that names how many tokens of a reply are given."""
FIRST = 8
"""Tokens from the first one that are all drawn."""
STEP = 1.2
"""How much deeper a later token that is drawn is than the one before."""
_TOKEN = re.compile(r"(response|output)-(\d+)")
CAPTION = (
    "{label} by depth into the answer, on a log2 axis of 1 + depth: {of}. One line per model, "
    "darker for larger, with 95 % intervals. Few answers reach far; of many tokens some are drawn."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing per metric that was measured at several tokens, a panel per objective."""
    for metric, label in METRICS.items():
        tokens = [name for name in material.values(metric, "position") if _TOKEN.fullmatch(name)]
        rows = material.rows(metric, positions=tokens) if len(tokens) > 1 else []
        rows = [row for row in rows if _TOKEN.fullmatch(str(row["position"]))]
        yield from _drawn(material, metric, label, rows, "tokens into the answer", _depth)
    for metric, label in PREFILLED.items():
        if len(material.values(metric, PREFILL)) > 1:
            rows = [row for row in material.rows(metric) if row.get(PREFILL) is not None]
            yield from _drawn(material, metric, label, rows, "tokens that were given", _given)


def _drawn(
    material: Material,
    metric: str,
    label: str,
    rows: Sequence[Row],
    of: str,
    at: Callable[[Row], int],
) -> Iterator[Drawing]:
    for cut in cuts(rows, material.layout, each=(), inside=("objective", PREFILL)):
        if row_values.drawable(cut.rows):
            yield Drawing(
                name=f"{metric}-into-the-answer",
                caption=marks.captioned(CAPTION.replace("{of}", of), label),
                canvas=draw(
                    cut.rows, at=at, places=of, layout=material.layout, label=label, note=cut.note
                ),
            )


def draw(
    rows: Sequence[Row],
    *,
    at: Callable[[Row], int] | None = None,
    places: str = "tokens into the answer",
    panel: str = "objective",
    layout: TableLayout | None = None,
    label: str | None = None,
    note: str = "",
) -> Figure:
    """`rows` are of one metric at several tokens of answers, or after several begun replies."""
    where = at or _depth
    known = _thinned(row_values.drawable(rows), where)
    titles, styles = axis_values(rows, panel, layout or TableLayout()), model_styles(known)
    depths = sorted({where(row) for row in known})
    with marks.style():
        figure, axes = marks.panels([title or "base" for title in titles])
        for axis, title in zip(axes, titles, strict=True):
            own = [row for row in known if label_at(row, panel) == title]
            draw_models(axis, own, styles, lambda row: 1.0 + where(row))
            _scale(axis, depths)
            axis.set_ylim(row_values.value_limits(known, log=False))
        marks.label_values(axes, label or row_values.metric_label(rows))
        marks.label_places(axes, places)
        marks.finish(figure, axes, row_values.notes_on(known, rows, note))
    return figure


def _scale(axis: Axes, depths: Sequence[int]) -> None:
    """Lay depths out by log2(1 + depth), with a tick at 0 and where they double."""
    axis.set_xscale("log", base=2)
    ticks = [depth for depth in depths if depth & (depth - 1) == 0]
    axis.xaxis.set_major_locator(FixedLocator([1.0 + depth for depth in ticks]))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{place - 1:.0f}"))
    axis.xaxis.set_minor_locator(NullLocator())


def _thinned(rows: Sequence[Row], at: Callable[[Row], int]) -> list[Row]:
    """Leave of many tokens those that the axis tells apart: all first ones, then each 1.2 times."""
    kept: list[int] = []
    for depth in sorted({at(row) for row in rows}):
        if not kept or depth < FIRST or 1 + depth >= STEP * (1 + kept[-1]):
            kept.append(depth)
    return [row for row in rows if at(row) in kept]


def _depth(row: Row) -> int:
    """Return how many tokens of the answer come before the one that a number is of."""
    match = _TOKEN.fullmatch(str(row["position"]))
    assert match is not None, f"{row['position']} is no token of an answer"
    return int(match[2]) - (match[1] == "output")


def _given(row: Row) -> int:
    digits = re.search(r"\d+", str(row[PREFILL]))
    return int(digits[0]) if digits else 0
