"""Contract of a figure: from a study's measurements and details to drawings, and their bytes.

A figure is one file in `figures/`; it says itself which rows or details it draws, and of a study
that has none of them it makes no drawing.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from analysis.answering.answer import Specifications
from analysis.door import Door
from analysis.drawing.marks import style
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.query import LongTable
from analysis.long_table.seeds import over_seeds
from analysis.long_table.selection import Selection
from analysis.measurement import Row, Scalar, label_of
from analysis.tables.elsewhere import rows_shown
from analysis.tables.layout import TableLayout, metrics_shown

DPI = 200
DOSE = "dose"
"""Axis that an intervention sweeps by itself."""
METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}
"""Formats, each with what it must not say: no times, so that equal figures give equal bytes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Detail:
    """A table that a job left beside its measurements, not read yet."""

    about: Mapping[str, Scalar]
    """The job's cell, key and its model's facts, in the columns of measurements."""
    read: Callable[[], pa.Table]
    """Reads it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawing:
    """One picture."""

    name: str
    """Its file's name, without suffix."""
    caption: str
    """One or two sentences: what is drawn, what the marks mean."""
    canvas: Canvas
    """The picture; made with `analysis.drawing.marks`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What there is to draw."""

    measured: LongTable
    """All measurements of the study."""
    layout: TableLayout = field(default_factory=TableLayout)
    """Order of axes' values, the metrics that are shown, the axis of seeds."""
    selection: Selection = field(default_factory=Selection)
    """Site, position and depth shown; what is open is settled for each metric by itself."""
    details: Callable[[str], Sequence[Detail]] = lambda name: ()
    """Name of a detail -> the tables of that name."""
    circumstances: Callable[[], Mapping[str, Circumstances]] = dict
    """Key of a job -> the circumstances of its measurements."""
    as_measured: Material | None = None
    """The same with every snapshot of a training; None: that is this one."""
    specifications: Callable[[], Mapping[str, tuple[str, Specifications]]] = dict
    """Name of an answer -> its question, and the answer at every place."""

    @property
    def metrics(self) -> list[str]:
        """Metrics that the view shows, in its order, but those against a dose."""
        metrics = metrics_shown(self.measured.distinct("metric"), self.layout.metrics)
        return [name for name in metrics if not self.values(name, DOSE)]

    def measures(self, metric: str) -> bool:
        """Return whether there are measurements of a metric, shown in tables or not."""
        return any(row["metric"] == metric for row in self.measured.distinct("metric"))

    def rows(
        self,
        metric: str,
        *,
        layers: bool = False,
        sites: Sequence[str | None] = (None,),
        positions: Sequence[str | None] = (None,),
        centred: bool = True,
    ) -> list[Row]:
        """Return a metric's rows where the view looks, over seeds; spectra centred or about zero.

        Every layer instead of the view's depth with `layers`; at these sites and positions instead
        of the view's where they are given.
        """
        own = self.measured.of_metrics([metric])
        rows: list[Row] = []
        for site, position in product(sites, positions):
            chosen = replace(
                self.selection,
                site=site or self.selection.site,
                position=position or self.selection.position,
                depths=None if layers else self.selection.depths,
            )
            chosen = _numbers(own).placed(chosen)
            if layers or len(sites) > 1 or len(positions) > 1:
                rows += own.select(chosen)
            else:
                rows += rows_shown(own, chosen, self.layout.seeds)
        kept = [row for row in rows if row["centred"] in (None, centred)]
        return over_seeds(_of_one_comparison(kept), self.layout.seeds)

    def about_stages(self, rows: Sequence[Row]) -> str:
        """Say which stage's numbers rows are, where others measured the same metrics, too."""
        kept = sorted({str(row["compared_by"]) for row in rows if row["compared_by"] is not None})
        metrics = {str(row["metric"]) for row in rows}
        measured = {name for metric in metrics for name in self.values(metric, "compared_by")}
        others = sorted(measured - set(kept))
        if not kept or not others:
            return ""
        return f"As stage {', '.join(kept)} measured it; not shown: {', '.join(others)}."

    def values(self, metric: str, column: str) -> list[str]:
        """Sites, positions, doses or stages of which a metric has a number, sorted."""
        if column not in self.measured.columns.column_names:
            return []
        own = _numbers(self.measured.of_metrics([metric]))
        return sorted(label_of(row[column]) for row in own.distinct(column))


def _of_one_comparison(rows: Sequence[Row]) -> list[Row]:
    """Rows of the stage that compared the most conditions with another one, where several did."""
    counted = Counter(row["compared_by"] for row in rows if row["compared_by"] is not None)
    most = min(counted, key=lambda name: (-counted[name], str(name)), default=None)
    return [row for row in rows if row["compared_by"] in (None, most)]


def _numbers(measured: LongTable) -> LongTable:
    """Return measurements with a number, or all where none has: where a reader wants to look."""
    valid = measured.columns.filter(pc.is_valid(measured.columns["value"]))
    return LongTable(columns=valid) if len(valid) else measured


class Figure(Protocol):
    """What a module in `figures/` provides."""

    def drawings(self, material: Material) -> Iterator[Drawing]:
        """Its drawings of a study; none where nothing that it draws was measured."""
        ...


def to_bytes(canvas: Canvas, suffix: str) -> bytes:
    """Return the figure as png (200 dpi), pdf or svg; equal figures give equal bytes."""
    kind = suffix.removeprefix(".")
    if kind not in METADATA:
        raise ValueError(f"figures are written as {', '.join(METADATA)}, not {suffix!r}")
    out, dpi = io.BytesIO(), canvas.get_dpi()
    with style():
        # savefig would lay the figure out once more before drawing it; `finish` has done so.
        try:
            canvas.set_dpi(DPI)
            _printer(canvas, kind)(out, metadata=METADATA[kind])
        finally:
            canvas.set_dpi(dpi)
    return out.getvalue()


def _printer(canvas: Canvas, kind: str) -> Callable[..., object]:
    """Return what writes a figure in a format; the figure keeps a canvas of that format."""
    if kind == "png":
        return FigureCanvasAgg(canvas).print_png
    return FigureCanvasPdf(canvas).print_pdf if kind == "pdf" else FigureCanvasSVG(canvas).print_svg


FIGURES: Door[Figure] = Door("figure", "analysis.drawing.figures", contract=Figure)
