"""A metric against how hard each model was trained: are sizes alike at equal dose?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from analysis.dose.clocks import Clocks
from analysis.dose.doses import SCALES, Dose
from analysis.dose.trajectories import AT_BASE, snapshot_axes, trajectories
from analysis.drawing import marks, row_values
from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Drawing, Material
from analysis.drawing.model_styles import draw_models, model_styles
from analysis.long_table.columns import to_rows
from analysis.measurement import Row, label_at
from analysis.tables.layout import TableLayout, axis_values

AT, PANEL = "dose reached", "condition"
CAPTION = (
    "{label} of models on the way of their training, against {dose}: one line per model, darker "
    "for larger, with 95 % intervals{over}, from the base where that is known. Where lines "
    "lie on each other, what differs between sizes at equal steps is how hard they were trained."
)


@dataclass(frozen=True, kw_only=True)
class _Doses:
    """The dose of every snapshot, on the first scale that was measured."""

    label: str
    """What it is, with its unit."""
    by_model: dict[str, float]
    """Key of a snapshot's model -> its dose."""
    along: tuple[str, ...]
    """Axes that tell snapshots apart."""


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing of every metric shown of which some training has two snapshots."""
    material = material.as_measured or material
    about = material.circumstances()
    if all(own.step is None for own in about.values()) or (doses := _doses(material)) is None:
        return
    for metric in material.metrics:
        at = ((row, _dose_of(row, doses, material)) for row in material.rows(metric))
        dosed: list[Row] = [{**row, AT: dose} for row, dose in at if dose is not None]
        for cut in cuts(dosed, material.layout, inside=(AT, PANEL, *doses.along)):
            drawn = row_values.drawable(cut.rows)
            if len(drawn) > len({row["model"] for row in drawn}):
                label = row_values.spectrum_label(metric, cut.rows)
                several = any(int(row["num_seeds"] or 0) > 1 for row in drawn)
                over = f" over prompts{' and seeds, at the mean dose of these' * several}"
                caption = CAPTION.replace("{dose}", doses.label).replace("{over}", over)
                yield Drawing(
                    name=f"{metric}-against-dose-of-training{cut.suffix}",
                    caption=marks.captioned(caption, label),
                    canvas=draw(
                        cut.rows,
                        places=doses.label,
                        layout=material.layout,
                        label=label,
                        note=marks.notes(cut.note, material.about_stages(cut.rows)),
                    ),
                )


def draw(
    rows: Sequence[Row],
    *,
    places: str,
    layout: TableLayout | None = None,
    label: str | None = None,
    note: str = "",
) -> Figure:
    """Draw one panel per condition; `rows` are of one metric, their dose in the column AT."""
    known = row_values.drawable(rows)
    styles = model_styles(known)
    base = AT_BASE.get(str(rows[0]["metric"]))
    titles = axis_values(known, PANEL, layout or TableLayout())
    with marks.style():
        figure, axes = marks.panels([name or " " for name in titles], across=2, share="values")
        for axis, title in zip(axes, titles, strict=True):
            own = [row for row in known if PANEL not in row or label_at(row, PANEL) == title]
            if base is not None:
                own = [*_of_base(own, base), *own]
            draw_models(axis, own, styles, lambda row: row_values.number(row, AT))
            axis.set_xlim(left=0)
            axis.set_xlabel(places)
        axes[0].set_ylim(row_values.value_limits(known, log=False))
        marks.label_values(axes, label or row_values.metric_label(rows))
        marks.finish(figure, axes, row_values.notes_on(known, rows, note))
    return figure


def _doses(material: Material) -> _Doses | None:
    """Return the doses of snapshots on the first scale that was measured at some."""
    about = material.circumstances()
    for name, scale in SCALES.items():
        rows = to_rows(material.measured.of_metrics([scale.metric]).columns)
        curves = trajectories(rows, about)
        dose = Dose.named(name, 1.0)
        clocks = Clocks.of(curves, dose)
        by_model: dict[str, float] = {}
        for preferred in clocks.by_model.values():
            measured, own = preferred[0].clock.measured, preferred[0].trajectory
            for step, model in zip(own.steps, own.models, strict=True):
                if step in measured.steps:
                    place = int(np.flatnonzero(measured.steps == step)[0])
                    by_model.setdefault(model, float(measured.values[place]))
        if by_model:
            unit = f" ({scale.unit})" if scale.unit else ""
            return _Doses(
                label=f"{row_values.readable(dose.what)}{unit}",
                by_model=by_model,
                along=snapshot_axes(rows, about),
            )
    return None


def _dose_of(row: Row, doses: _Doses, material: Material) -> float | None:
    """Return the dose of a row's snapshot, the mean over its seeds; None of any other model."""
    about = material.circumstances()
    own = [about[key] for key in str(row["key"]).split() if key in about]
    reached = [
        doses.by_model[a.aligned]
        for a in own
        if a.step is not None and a.aligned is not None and a.aligned in doses.by_model
    ]
    return float(np.mean(reached)) if reached else None


def _of_base(rows: Sequence[Row], value: float) -> list[Row]:
    """Return a row of each model at dose 0, where its definition says what the base has."""
    exact: Row = {AT: 0.0, "value": value, "low": value, "high": value}
    return list({row["model"]: {**row, **exact} for row in rows}.values())
