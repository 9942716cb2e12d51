"""Dose and response: what an intervention of growing strength does to behaviour."""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.cuts import cuts
from analysis.drawing.figure import DOSE, Drawing, Material
from analysis.drawing.marks import captioned, finish, label_values, notes, panels, style
from analysis.drawing.model_styles import draw_models, model_styles
from analysis.drawing.row_values import drawable, missing_note, number, readable, value_limits
from analysis.measurement import Row, label_at
from analysis.tables.layout import TableLayout, axis_values

INTERVENTION = "intervention"
"""The axis that says what was done."""
SHARE = "recovered_"
KINDS = {"patched_": "{behaviour}", SHARE: "{behaviour}: share recovered"}
MOST_TICKS = 6
CAPTION = (
    "{label} under interventions of growing dose: one line per model, darker for larger, with 95 % "
    "intervals, from the model as it is (none)."
)
HATCHED = (
    " Hatched, where random directions or neurons of equal size lead in any of these models, as "
    "far as the values reach."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing per behaviour and objective, a panel per intervention."""
    metrics = [str(row["metric"]) for row in material.measured.distinct("metric")]
    for metric in sorted(metrics):
        prefix = next((kind for kind in KINDS if metric.startswith(kind)), None)
        rows = material.rows(metric) if prefix else []
        if prefix is None or not rows or DOSE not in rows[0]:
            continue
        label = KINDS[prefix].format(behaviour=readable(metric.removeprefix(prefix)))
        dosed = [row for row in rows if row[DOSE] is not None]
        for cut in cuts(dosed, material.layout, inside=(DOSE, INTERVENTION)):
            if known := drawable(cut.rows):
                has_null = any(row["null_low"] is not None for row in known)
                yield Drawing(
                    name=f"{metric}-against-dose{cut.suffix}",
                    caption=captioned(CAPTION + HATCHED * has_null, label),
                    canvas=draw(cut.rows, layout=material.layout, label=label, note=cut.note),
                )


def draw(
    rows: Sequence[Row],
    *,
    layout: TableLayout | None = None,
    label: str | None = None,
    note: str = "",
) -> "Figure":
    """`rows` are of one metric at several values of the axis `dose`."""
    metric = str(rows[0]["metric"]) if rows else ""
    known = drawable(rows)
    names = axis_values(rows, INTERVENTION, layout or TableLayout())
    styles = model_styles(known)
    if metric.startswith(SHARE):
        known = [*_untouched(known), *known]
    with style():
        figure, axes = panels([name or " " for name in names], share="values")
        for axis, name in zip(axes, names, strict=True):
            own = [row for row in known if label_at(row, INTERVENTION) == name]
            _null(axis, own)
            draw_models(axis, own, styles, _dose)
            axis.axhline(0, color="#808080", linewidth=0.6)
            if metric.startswith(SHARE):
                axis.axhline(1, color="#808080", linewidth=0.6, linestyle=(0, (4, 3)))
            _ticks(axis, sorted({_dose(row) for row in own}))
            axis.set_xlabel("dose")
        axes[0].set_ylim(value_limits(known, log=False))
        label_values(axes, label or readable(metric))
        finish(figure, axes, notes(missing_note(rows), note))
    return figure


def _untouched(rows: Sequence[Row]) -> list[Row]:
    """At dose 0, nothing of the difference is recovered, with or without a direction."""
    nothing: Row = {DOSE: 0.0, "value": 0.0, "low": 0.0, "high": 0.0, "null_low": None}
    unchanged = {(row["model"], row.get(INTERVENTION)): {**row, **nothing} for row in rows}
    return list(unchanged.values())


def _null(axis: "Axes", rows: Sequence[Row]) -> None:
    """Envelope over models of where the control interventions lead, from the untouched models."""
    ends: dict[float, list[float]] = {}
    controlled = {row["model"] for row in rows if row["null_low"] is not None}
    for row in rows:
        if row["null_low"] is not None:
            ends.setdefault(_dose(row), []).extend(
                (number(row, "null_low"), number(row, "null_high"))
            )
        elif _dose(row) == 0 and row["model"] in controlled:
            ends.setdefault(0.0, []).append(number(row, "value"))
    if not ends:
        return
    doses = sorted(ends)
    axis.fill_between(
        doses,
        [min(ends[dose]) for dose in doses],
        [max(ends[dose]) for dose in doses],
        facecolor="#F2F2F2",
        edgecolor="#B5B5B5",
        hatch="////",
        linewidth=0.4,
        zorder=0.5,
        label="null: random",
    )


def _ticks(axis: "Axes", doses: Sequence[float]) -> None:
    """At the doses, where there is room for each; dose 0 of a factor is no factor of 0."""
    if not 1 < len(doses) <= MOST_TICKS:
        return
    axis.set_xticks(doses, ["none" if dose == 0 else f"{dose:g}" for dose in doses])


def _dose(row: Row) -> float:
    return number(row, DOSE)
