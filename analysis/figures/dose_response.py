"""Dose and response: what an intervention of growing strength does to behaviour."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.cuts import cuts
from analysis.drawable import drawable, missing_note, number, readable, value_limits
from analysis.drawing import captioned, finish, label_values, notes, panels, style, wrapped
from analysis.figure import DOSE, Drawing, Material
from analysis.measurement import Row
from analysis.model_styles import draw_models, model_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTERVENTION = "intervention"
"""The axis that says what was done."""
KINDS = {
    "patched_": "{behaviour}",
    "recovered_": "{behaviour}: share recovered",
}
CAPTION = (
    "{label} under interventions of growing dose: one line per model, darker for larger, with 95 % "
    "intervals; dose 0 is the model as it is. Shaded, where random directions or neurons of equal "
    "size lead."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """One per behaviour and objective, a panel per intervention."""
    metrics = [str(row["metric"]) for row in material.measured.distinct("metric")]
    for metric in sorted(metrics):
        prefix = next((each for each in KINDS if metric.startswith(each)), None)
        rows = material.rows(metric) if prefix else []
        if prefix is None or not rows or DOSE not in rows[0]:
            continue
        label = KINDS[prefix].format(behaviour=readable(metric.removeprefix(prefix)))
        dosed = [row for row in rows if row[DOSE]]
        for cut in cuts(dosed, material.layout, inside=(DOSE, INTERVENTION)):
            if drawable(cut.rows):
                yield Drawing(
                    name=f"{metric}-against-dose{cut.suffix}",
                    caption=captioned(CAPTION, label),
                    canvas=draw(cut.rows, label=label, note=cut.note),
                )


def draw(rows: Sequence[Row], *, label: str | None = None, note: str = "") -> "Figure":
    """`rows` are of one metric at several values of the axis `dose`."""
    known = drawable(rows)
    names = sorted({intervention_of(row) for row in rows})
    styles = model_styles(known)
    with style():
        figure, axes = panels(names, across=2 if len(names) > 1 else 1, share=False)
        for axis, name in zip(axes, names, strict=True):
            own = [row for row in known if intervention_of(row) == name]
            _null(axis, [row for row in own if row["null_low"] is not None])
            draw_models(axis, own, styles, _dose)
            axis.set_ylim(_limits(known))
            axis.axhline(0, color="#808080", linewidth=0.6)
            if str(rows[0]["metric"]).startswith("recovered_"):
                axis.axhline(1, color="#808080", linewidth=0.6, linestyle=(0, (4, 3)))
            axis.set_xlabel("dose")
        label_values(axes, wrapped(label or readable(str(rows[0]["metric"]) if rows else ""), 2))
        finish(figure, axes, notes(missing_note(rows), note))
    return figure


def intervention_of(row: Row) -> str:
    """What was done, by its name."""
    return str(row.get(INTERVENTION) or " ")


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Of the values, and of null bands unless they are beyond all values."""
    bottom, top = value_limits(rows, log=False)
    span = top - bottom
    lows = [number(row, "null_low") for row in rows if row["null_low"] is not None]
    highs = [number(row, "null_high") for row in rows if row["null_high"] is not None]
    bottom = max(min([bottom, *lows]), bottom - span / 2)
    return bottom, min(max([top, *highs]), top + span / 2)


def _null(axis: "Axes", rows: Sequence[Row]) -> None:
    """Envelope over models of where the control interventions lead."""
    ends: dict[float, tuple[float, float]] = {}
    for row in rows:
        low, high = number(row, "null_low"), number(row, "null_high")
        known = ends.get(_dose(row), (low, high))
        ends[_dose(row)] = min(low, known[0]), max(high, known[1])
    if ends:
        doses = sorted(ends)
        lows, highs = zip(*(ends[dose] for dose in doses), strict=True)
        axis.fill_between(doses, lows, highs, color="#DDDDDD", linewidth=0, label="null: random")


def _dose(row: Row) -> float:
    return float(str(row[DOSE]))
