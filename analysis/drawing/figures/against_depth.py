"""A metric against relative depth: where in the network is it, at every size?"""

from collections.abc import Iterator, Sequence
from itertools import product

from matplotlib.figure import Figure

from analysis.drawing import marks, row_values
from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Drawing, Material
from analysis.drawing.model_styles import draw_models, model_styles
from analysis.measurement import Row, label_at
from analysis.tables.layout import TableLayout, axis_values

PANELS = ("objective", "condition")
"""Axes of which every combination has a panel."""
CAPTION = (
    "{label} against relative depth, 0 the first block and 1 the last: one line per model, darker "
    "for larger, with 95 % intervals."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing of every metric shown that has layers."""
    for metric in material.metrics:
        every, left = row_values.of_two(material.rows(metric, layers=True))
        for cut in cuts(every, material.layout, each=(), inside=PANELS):
            if any(row["layer"] is not None for row in row_values.drawable(cut.rows)):
                label = row_values.spectrum_label(metric, cut.rows)
                note = marks.notes(left, cut.note, material.about_stages(cut.rows))
                yield Drawing(
                    name=f"{metric}-against-depth",
                    caption=marks.captioned(CAPTION, label),
                    canvas=draw(cut.rows, layout=material.layout, label=label, note=note),
                )


def draw(
    rows: Sequence[Row],
    *,
    panels_by: Sequence[str] = PANELS,
    layout: TableLayout | None = None,
    label: str | None = None,
    note: str = "",
) -> "Figure":
    """Draw one panel per combination of `panels_by`; one line per model, darker for larger.

    `rows` are of one metric at one site and position, every layer, combined over seeds.
    """
    layout = layout or TableLayout()
    known = [row for row in row_values.drawable(rows) if row["layer"] is not None]
    used = [axis for axis in panels_by if known and axis in known[0]]
    values = {axis: axis_values(known, axis, layout) for axis in used}
    seen = {_key(row, used) for row in known} or {()}
    keys = [key for key in product(*values.values()) if key in seen]
    titles = [", ".join(part for part in key if part) or " " for key in keys]
    with marks.style():
        figure, axes = marks.panels(titles, across=len(values[used[-1]]) if used else 1)
        styles = model_styles(known)
        for axis, key in zip(axes, keys, strict=True):
            own = [row for row in known if _key(row, used) == key]
            draw_models(axis, own, styles, _depth, markersize=3.5, elinewidth=0.6, capsize=0)
            axis.set_xlim(-0.03, 1.03)
            axis.set_ylim(row_values.value_limits(known, log=False))
        marks.label_values(axes, label or row_values.metric_label(rows))
        marks.label_places(axes, "relative depth")
        marks.finish(figure, axes, row_values.notes_on(known, rows, note))
    return figure


def _key(row: Row, names: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(label_at(row, name) for name in names)


def _depth(row: Row) -> float:
    return row_values.number(row, "depth")
