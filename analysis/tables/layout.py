"""What goes down the side of a table, what across, and in which order."""

import math
import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

from analysis.door import Door, brought_now
from analysis.long_table.columns import axes_of
from analysis.long_table.selection import BLANKS, VARIANT, nearest
from analysis.measurement import Row, Scalar, label_at, label_of
from analysis.metric import METRICS, Metric
from analysis.tables.rounding import format_count
from analysis.tables.table import Header
from analysis.weight_metric import WEIGHT_METRICS, WeightMetric

Side = tuple[Scalar, ...]
"""The values of the row axes of one row."""


@dataclass(frozen=True, kw_only=True)
class TableLayout:
    """How a table is laid out."""

    rows: tuple[str, ...] = ("model",)
    """Axes down the side."""
    columns: tuple[str, ...] | None = None
    """Axes across, under the metric; None takes every other axis that varies."""
    metrics: tuple[str, ...] | None = None
    """Metrics shown, in this order; None takes all: behaviour, headlines, then the others."""
    seeds: str | None = "seed"
    """Axis that is averaged over, with a t interval."""
    order: Mapping[str, Sequence[str]] | None = None
    """Axis -> its values in the study's order; sorted where not given."""
    blanks: Mapping[str, str] | None = None
    """Axis -> name of "does not have this axis"; BLANKS where not given."""
    controls: bool = False
    """Whether interval, noise floor and null bands stand beside each value."""

    def of_each_seed(self, axes: Sequence[str] | None = None) -> "TableLayout":
        """Return the layout without a mean over seeds where their axis tells cells apart.

        Args:
            axes: the axes that tell cells apart; None: those down the side and across.
        """
        named = (*self.rows, *(self.columns or ())) if axes is None else axes
        return replace(self, seeds=None) if self.seeds in named else self


def headline_places() -> dict[str, int]:
    """Return the values that metrics of activations and weights head tables with -> their place."""
    return {
        value: place
        for entry in _entries(brought_now())
        for value, place in entry.HEADLINES.items()
    }


def _values_of_metrics() -> list[str]:
    return [value for entry in _entries(brought_now()) for value in entry.REPORTS]


@cache
def _entries(brought: Hashable) -> list[Metric | WeightMetric]:
    doors: tuple[Door[Metric] | Door[WeightMetric], ...] = (METRICS, WEIGHT_METRICS)
    return [entry for door in doors for entry in door.entries()]


def metrics_shown(rows: Sequence[Row], wanted: Sequence[str] | None) -> list[str]:
    """Return the metrics wanted, or all; ValueError for one without measurements."""
    measured = {str(row["metric"]) for row in rows}
    places = dict.fromkeys(_values_of_metrics(), math.inf) | headline_places()
    ordered = sorted(measured, key=lambda name: (places.get(name, 0), name))
    for name in wanted or ():
        if name not in ordered:
            raise ValueError(f"no measurement is of metric {name!r}{nearest(name, ordered)}")
    return list(wanted) if wanted is not None else ordered


def axes_across(rows: Sequence[Row], layout: TableLayout) -> tuple[str, ...]:
    """Return axes across the top: those asked for, or all that vary and are not down the side."""
    axes = ["model", *axes_of(rows[0] if rows else ())]
    for axis in (*layout.rows, *(layout.columns or ())):
        if axis not in axes:
            raise ValueError(f"there is no axis {axis!r}{nearest(axis, axes)}")
    if layout.columns is not None:
        return layout.columns
    free = [axis for axis in axes if axis not in layout.rows and axis != layout.seeds]
    return tuple(
        axis for axis in free if _varies(rows, axis) and not _follows(rows, axis, layout.rows)
    )


def axes_of_fits(rows: Sequence[Row], layout: TableLayout) -> tuple[str, ...]:
    """Return the axes of which every combination has a fit over sizes: all but those of models."""
    across = axes_across(rows, layout)
    free = [axis for axis in axes_of(rows[0] if rows else ()) if axis not in across]
    down = [
        axis
        for axis in free
        if axis != layout.seeds and _varies(rows, axis) and not _follows(rows, axis, ("model",))
    ]
    return (*down, *across)


def _varies(rows: Sequence[Row], axis: str) -> bool:
    """Whether some metric has several values of the axis, or some with and some without."""
    by_metric: dict[Scalar, set[Scalar]] = {}
    for row in rows:
        by_metric.setdefault(row["metric"], set()).add(row[axis])
    return any(len(values) > 1 for values in by_metric.values())


def _follows(rows: Sequence[Row], axis: str, sides: Sequence[str]) -> bool:
    """Whether each row of the table has one value of the axis, so that columns need not name it."""
    by_side: dict[Side, set[Scalar]] = {}
    for row in rows:
        by_side.setdefault(tuple(row[side] for side in sides), set()).add(row[axis])
    return len(by_side) > 1 and all(len(values) == 1 for values in by_side.values())


def axes_beside(rows: Sequence[Row], layout: TableLayout, axes: Sequence[str]) -> list[str]:
    """Return axes that vary from row to row and never within a row: parts of the row header."""
    taken = (layout.seeds, *layout.rows, *axes)
    free = [axis for axis in axes_of(rows[0] if rows else ()) if axis not in taken]
    return [axis for axis in free if _varies(rows, axis) and _follows(rows, axis, layout.rows)]


def rows_down(rows: Sequence[Row], layout: TableLayout) -> dict[Side, Row]:
    """Return row keys in the order shown, each with a row that has its model's facts."""
    sides: dict[Side, Row] = {}
    for row in rows:
        sides.setdefault(tuple(row[axis] for axis in layout.rows), row)

    def rank(item: tuple[Side, Row]) -> list[tuple[object, ...]]:
        return [_rank(axis, item[1][axis], item[1], layout.order) for axis in layout.rows]

    return dict(sorted(sides.items(), key=rank))


def _rank(
    axis: str, value: Scalar, row: Mapping[str, Scalar], order: Mapping[str, Sequence[str]] | None
) -> tuple[object, ...]:
    """Rank models by family and parameters, other values in the study's order, blank first."""
    if axis == "model":
        size = row["num_parameters"]
        unknown = float("inf") if size is None else float(size)
        return (str(row["family"]), unknown, str(value))
    given = list((order or {}).get(axis, ()))
    label = label_of(value)
    place = given.index(label) if label in given else len(given)
    return (value is not None, place, _natural(value))


def _natural(value: Scalar) -> tuple[bool, float, list[str | float]]:
    """Return a sort key: numbers before text, and a text by the numbers in it: output-2, -10."""
    if isinstance(value, int | float):
        return (False, float(value), [])
    pieces = re.split(r"(\d+(?:\.\d+)?)", str(value))  # text and number in turn
    return (True, 0.0, [float(part) if i % 2 else part for i, part in enumerate(pieces)])


def combinations(
    rows: Sequence[Row], axes: Sequence[str], layout: TableLayout
) -> list[tuple[Scalar, ...]]:
    """Return column keys of one metric: its axes' values crossed, and those with a blank."""
    measured = {tuple(row[axis] for axis in axes): row for row in rows}
    values = [
        sorted({key[i] for key in measured if key[i] is not None}, key=str)
        for i in range(len(axes))
    ]
    full = set(product(*(options or [None] for options in values)))
    facts = {(axis, row[axis]): row for row in rows for axis in axes}

    def rank(key: tuple[Scalar, ...]) -> list[tuple[object, ...]]:
        pairs = zip(axes, key, strict=True)
        return [_rank(axis, value, facts[axis, value], layout.order) for axis, value in pairs]

    return sorted(full | set(measured), key=rank)


def variant_labels(metric: str, rows: Sequence[Row]) -> dict[tuple[Scalar, ...], str]:
    """Return variants of a metric that were measured, named by no more than tells them apart."""
    measured = [row for row in rows if row["value"] is not None] or rows
    variants = {tuple(row[name] for name in VARIANT) for row in measured}
    telling: list[int] = []
    for index in range(len(VARIANT)):
        apart = len({tuple(v[i] for i in telling) for v in variants}) == len(variants)
        if not apart and len({v[index] for v in variants}) > 1:
            telling.append(index)
    words = {
        variant: ", ".join([metric, *(w for i in telling if (w := _word(VARIANT[i], variant[i])))])
        for variant in variants
    }
    return dict(sorted(words.items(), key=lambda item: (item[0][0] is True, _natural(item[1]))))


def _word(name: str, value: Scalar) -> str:
    if value is None:
        return ""
    if name == "centred":
        return "centred" if value else "uncentred"
    return f"depth {value:g}" if name == "depth" else label_of(value)


def row_levels(layout: TableLayout, extra: Sequence[str]) -> Header:
    """Return names of the parts of a row header: a model has its family, name and size."""
    names = _side_columns(layout, extra)
    return tuple("parameters" if name == "num_parameters" else name for name in names)


def _side_columns(layout: TableLayout, extra: Sequence[str]) -> Header:
    """Return the columns of the long table that a row header shows."""
    model = ("family", "model", "num_parameters")
    parts = [model if axis == "model" else (axis,) for axis in layout.rows]
    return (*(name for part in parts for name in part), *extra)


def side_header(
    row: Row, layout: TableLayout, extra: Sequence[str], having: Collection[str] = ()
) -> Header:
    """Return the row header of any of a row's measurements.

    Args:
        row: one of them.
        layout: the axes down the side.
        extra: the axes beside these.
        having: axes of which some row has a value: one without it is named, as `base`.
    """
    header: list[str] = []
    for axis in layout.rows:
        if axis == "model":
            size = row["num_parameters"]
            counted = "unknown" if size is None else format_count(int(size))
            header += [str(row["family"] or "unknown"), str(row["model"]), counted]
        else:
            header.append(_name_down(row, axis, axis in having, layout))
    return (*header, *(_name_down(row, axis, axis in having, layout) for axis in extra))


def _name_down(row: Row, axis: str, others_have_it: bool, layout: TableLayout) -> str:
    label = label_at(row, axis)
    return blank_name(axis, others_have_it, layout) if label is None else label


def side_values(row: Row, layout: TableLayout, extra: Sequence[str]) -> tuple[Scalar, ...]:
    """Return a row header for programs: counted parameters and axes of numbers as numbers."""
    return tuple(row[name] for name in _side_columns(layout, extra))


def blank_name(axis: str, others_have_it: bool, layout: TableLayout) -> str:
    """Return the name of a row or column without a value of an axis; empty if none has one."""
    names = BLANKS if layout.blanks is None else layout.blanks
    return names.get(axis, "none") if others_have_it else ""


def axis_values(
    rows: Sequence[Mapping[str, Scalar]], axis: str | None, layout: TableLayout
) -> list[str | None]:
    """Return an axis' values in the order shown, blank first; one blank without such an axis."""
    if axis is None or not rows or axis not in rows[0]:
        return [None]
    facts = {row[axis]: row for row in rows}
    ordered = sorted(facts, key=lambda value: _rank(axis, value, facts[value], layout.order))
    return [None if value is None else label_of(value) for value in ordered]
