"""Drift over the turns of a dialogue: one line per model."""

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from analysis.drawing import marks, row_values
from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Drawing, Material
from analysis.drawing.model_styles import draw_models, model_styles
from analysis.measurement import Row, label_at
from analysis.tables.layout import TableLayout, axis_values

METRICS = {
    "turn_drift": "projection on turn 1's mean δ",
    "relative_norm": "norm of δ / norm of the base row",
    "logit_lens_drop": "drop of P(toxic words)",
}
TURN = "turn-"
CAPTION = (
    "{label} at the last token of each turn of the user, at one relative depth: one line per "
    "model, darker for larger, with 95 % intervals."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing per metric that was measured at several turns, a panel per objective."""
    for metric, label in METRICS.items():
        turns = [name for name in material.values(metric, "position") if name.startswith(TURN)]
        rows = material.rows(metric, positions=turns) if len(turns) > 1 else []
        rows = [row for row in rows if str(row["position"]).startswith(TURN)]
        for cut in cuts(rows, material.layout, each=(), inside=("objective",)):
            if row_values.drawable(cut.rows):
                yield Drawing(
                    name=f"{metric}-over-turns",
                    caption=marks.captioned(CAPTION, label),
                    canvas=draw(cut.rows, layout=material.layout, label=label, note=cut.note),
                )


def draw(
    rows: Sequence[Row],
    *,
    panel: str = "objective",
    layout: TableLayout | None = None,
    label: str | None = None,
    note: str = "",
) -> "Figure":
    """`rows` are of one metric at several positions `turn-1`, `turn-2`, and so on."""
    known = row_values.drawable(rows)
    titles, styles = axis_values(rows, panel, layout or TableLayout()), model_styles(known)
    with marks.style():
        figure, axes = marks.panels([title or " " for title in titles])
        for axis, title in zip(axes, titles, strict=True):
            draw_models(
                axis, [row for row in known if label_at(row, panel) == title], styles, _turn
            )
            axis.set_xticks(sorted({_turn(row) for row in known}))
            axis.set_ylim(row_values.value_limits(known, log=False))
        marks.label_values(axes, label or row_values.metric_label(rows))
        marks.label_places(axes, "turn")
        marks.finish(figure, axes, row_values.notes_on(known, rows, note))
    return figure


def _turn(row: Row) -> int:
    return int(str(row["position"]).removeprefix(TURN))
