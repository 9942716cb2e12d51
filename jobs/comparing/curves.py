"""A comparison as lines: each metric against layer, one line per model, and against size.

Lines hold the measurements that the view shows; those below the noise floor are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.measurement import Row, label_of
from analysis.status import Status
from jobs.comparing.comparison import Comparison, selection_of
from jobs.comparing.view import View

LAYER, SIZE = "layer", "num_parameters"
"""What lines are drawn against: columns of the long table."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line."""

    name: str
    """Metric, then the cell."""
    against: str
    """LAYER or SIZE."""
    points: tuple[tuple[float, float], ...]
    """Pairs of layer or size and value, by layer or size."""


def curves(comparison: Comparison, view: View) -> list[Curve]:
    """Return all lines of at least two points, in canonical order."""
    all_curves: list[Curve] = []
    for against, every_layer in ((LAYER, True), (SIZE, False)):
        lines: dict[str, dict[float, float]] = {}
        for row in _rows(comparison, view, every_layer=every_layer):
            if row[against] is not None:
                points = lines.setdefault(_name(row, against), {})
                points[_number(row, against)] = _number(row, "value")
        all_curves += [
            Curve(name=name, against=against, points=tuple(sorted(points.items())))
            for name, points in lines.items()
            if len(points) > 1
        ]
    return all_curves


def _rows(comparison: Comparison, view: View, *, every_layer: bool) -> Iterator[Row]:
    """Yield numbers over seeds of the metrics shown; spectra centred."""
    from analysis.long_table.query import LongTable
    from analysis.long_table.seeds import over_seeds
    from analysis.tables.layout import metrics_shown

    whole = LongTable.of(comparison.measurements)
    for metric in metrics_shown(whole.distinct("metric"), comparison.layout(view).metrics):
        measured = whole.of_metrics([metric])
        chosen = measured.resolved(selection_of(view, every_layer=every_layer))
        for row in over_seeds(measured.select(chosen), view.seeds):
            usable = row["value"] is not None and row["status"] != Status.BELOW_NOISE_FLOOR
            if usable and row["centred"] is not False:
                yield row


def _name(row: Row, against: str) -> str:
    """Name a line by its metric, model (or family, where it is drawn against size) and axes."""
    from analysis.long_table.columns import axes_of

    cell: Sequence[str] = [label_of(row[axis]) for axis in axes_of(row) if row[axis] is not None]
    line = row["family"] if against == SIZE else row["model"]
    return "/".join([str(row["metric"]), " ".join([str(line), *cell])])


def _number(row: Row, column: str) -> float:
    value = row[column]
    assert isinstance(value, int | float)
    return float(value)
