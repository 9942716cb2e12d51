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
_TELLING = ("compared_by", "definition", "site", "position", "model")
"""Columns that tell numbers of one line and place apart, those first that a reader looks for."""


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
        lines: dict[str, list[Row]] = {}
        for row in _rows(comparison, view, every_layer=every_layer):
            if row[against] is not None:
                lines.setdefault(_name(row, against), []).append(row)
        for line, rows in lines.items():
            for name, own in _apart(line, rows, against).items():
                points = {_number(row, against): _number(row, "value") for row in own}
                if len(points) > 1:
                    curve = Curve(name=name, against=against, points=tuple(sorted(points.items())))
                    all_curves.append(curve)
    return all_curves


def _apart(line: str, rows: Sequence[Row], against: str) -> dict[str, list[Row]]:
    """Return the rows of a line; where two are at one place, lines of what tells them apart.

    Two stages may measure one cell, and two models of a family may have one size.
    """
    lines = {line: list(rows)}
    for column in _TELLING:
        split: dict[str, list[Row]] = {}
        for name, own in lines.items():
            is_unclear = len({row[against] for row in own}) < len(own)
            is_told = is_unclear and len({row[column] for row in own}) > 1
            for row in own:
                split.setdefault(f"{name} {row[column]}" if is_told else name, []).append(row)
        lines = split
    return lines


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
