"""Measurements to a comparison table: select, combine seeds, put each number into its cell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.long_table.circumstances import Circumstances, losses
from analysis.long_table.columns import ENDPOINT, axes_of
from analysis.long_table.query import LongTable
from analysis.long_table.seeds import over_seeds
from analysis.long_table.selection import VARIANT, Selection, describe
from analysis.measurement import Measurement, Row, Scalar, label_of
from analysis.status import MEANINGS, Status
from analysis.tables.bypass_remarks import DecodeControls
from analysis.tables.elsewhere import Elsewhere
from analysis.tables.layout import (
    Side,
    TableLayout,
    axes_across,
    axes_beside,
    blank_name,
    combinations,
    metrics_shown,
    row_levels,
    rows_down,
    side_header,
    side_values,
    variant_labels,
)
from analysis.tables.reference_lines import Line, places, reference_lines
from analysis.tables.table import Cell, Header, Table, annotate, take_columns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Values = tuple[Scalar, ...]

ANSWERABLE = frozenset({"toxic_rate", "toxic_score", "word_f1"})
"""Metrics that need no more of a model than what it says."""


@dataclass(frozen=True, order=True)
class TableColumn:
    """Which measurements one column of the table shows."""

    metric: str
    """Name of the metric."""
    where: Values
    """One value per column axis."""
    variant: Values
    """One value per entry of VARIANT."""


def compare(
    data: "pa.Table | pd.DataFrame | Iterable[Mapping[str, object]]",
    *,
    layout: TableLayout | None = None,
    selection: Selection | None = None,
    title: str = "Comparison across model sizes",
    references: Sequence[str] = (),
    circumstances: Mapping[str, Circumstances] | None = None,
) -> Table:
    """Return the table of a study's measurements.

    Every combination of a row and a column has a cell; one without a number says why. A combination
    of axes that no job of any row measured is no column: the caption counts them. Published
    references are rows below. `circumstances`, where given, add footnotes to bypass claims.

    Raises:
        ValueError: a name does not exist (the message lists those that do and the nearest match),
            or several numbers fall into one cell.
    """
    layout = (layout or TableLayout()).of_each_seed()
    measured = LongTable.of(data).without_left_out()
    controls = DecodeControls.of(measured, circumstances or {})
    selection = selection or Selection()
    measured.require_where(selection.where)
    metrics = metrics_shown(measured.distinct("metric"), layout.metrics)
    measured = measured.of_metrics(metrics)
    chosen = measured.placed(selection)
    elsewhere = Elsewhere.of(measured, chosen, layout.seeds)
    rows = over_seeds(elsewhere.rows(measured.select(chosen), layout.rows), layout.seeds)
    axes = axes_across(rows, layout)
    sides, beside = rows_down(rows, layout), axes_beside(rows, layout, axes)
    columns = _columns(rows, metrics, axes, layout)
    cells = _Cells(rows, layout.rows, axes, elsewhere, controls)
    down = (*layout.rows, *beside)
    having = {axis for axis in down for row in sides.values() if row[axis] is not None}
    lines = [
        Line(
            header=side_header(row, layout, beside, having),
            values=side_values(row, layout, beside),
            cells=tuple(cells.at(side, column, row["family"]) for column in columns),
        )
        for side, row in sides.items()
    ]
    across = places(rows, [(column.metric, column.where) for column in columns], axes)
    families = {row["family"] for row in rows}
    lines += reference_lines(references, across, layout, len(beside), families)
    kept = [
        index
        for index, column in enumerate(columns)
        if any(cells.is_measured(side, column) for side in sides)
        or any(line.cells[index].number.value is not None for line in lines)
    ]
    caption = _caption(rows, chosen, layout, axes) + _remarks(rows, circumstances or {})
    remark = cells.remark(rows, sides, [list(columns)[index] for index in kept])
    table = Table(
        title=title,
        row_levels=row_levels(layout, beside),
        rows=tuple(line.header for line in lines),
        row_values=tuple(line.values for line in lines),
        column_levels=("metric", *axes),
        columns=tuple(columns.values()),
        column_values=_typed(columns, axes),
        cells=tuple(line.cells for line in lines),
        caption=f"{caption} {remark}".rstrip(),
        controls=layout.controls,
    )
    return annotate(_with_columns(table, kept))


class _Cells:
    """The cells of a table; each holds a number, or says why there is none."""

    def __init__(
        self,
        rows: Sequence[Row],
        down: Sequence[str],
        across: Sequence[str],
        elsewhere: Elsewhere,
        controls: DecodeControls,
    ) -> None:
        self._numbers = _place(rows, down, across)
        self._elsewhere, self._controls = elsewhere, controls
        self._names = (*down, "metric", *across)
        self._stages: dict[Values, set[Scalar]] = {}
        """Values of the names -> the stages that have a number there, in any variant."""
        for row in rows:
            if row["value"] is not None:
                of_cell = self._stages.setdefault(_values(row, self._names), set())
                of_cell.add(row["compared_by"])

    def at(self, side: Side, column: TableColumn, family: Scalar) -> Cell:
        """Return the cell of a row, whose models are of this family, and a column."""
        if (row := self._numbers.get((side, column))) is not None:
            return _cell(row, self._controls.remark(row))
        return _empty(family, column.metric, self._why_not(side, column))

    def is_measured(self, side: Side, column: TableColumn) -> bool:
        """Tell whether a cell has something to show, or a number at another place."""
        return (side, column) in self._numbers or self._why_not(side, column) is not None

    def remark(
        self, rows: Sequence[Row], sides: Iterable[Side], columns: Sequence[TableColumn]
    ) -> str:
        """Return what the caption says of cells of these rows and columns without a number."""
        dashed = {
            self._key(side, column)
            for side in sides
            for column in columns
            if (side, column) not in self._numbers
        }
        return self._elsewhere.remark(rows, self._names, dashed)

    def _why_not(self, side: Side, column: TableColumn) -> str | None:
        key = self._key(side, column)
        if key in self._stages:  # the place is not what it lacks
            stages = sorted(str(stage) for stage in self._stages[key] if stage is not None)
            return f"another stage measured it: {', '.join(stages)}" if stages else None
        return self._elsewhere.reason(dict(zip(self._names, key, strict=True)))

    def _key(self, side: Side, column: TableColumn) -> Values:
        return (*side, column.metric, *column.where)


def _with_columns(table: Table, kept: Sequence[int]) -> Table:
    """Return the columns at these indices; the caption counts the others."""
    others = len(table.columns) - len(kept)
    if not others or not kept:
        return table
    many = "columns that no job measures are" if others > 1 else "column that no job measures is"
    return replace(
        take_columns(table, kept), caption=f"{table.caption} {others} {many} left out.".lstrip()
    )


def _columns(
    rows: Sequence[Row], metrics: Sequence[str], axes: Sequence[str], layout: TableLayout
) -> dict[TableColumn, Header]:
    """Return columns in the order shown, each with its header."""
    columns: dict[TableColumn, Header] = {}
    for metric in metrics:
        of_metric = [row for row in rows if row["metric"] == metric]
        having = [axis for axis in axes if any(row[axis] is not None for row in of_metric)]
        for variant, label in variant_labels(metric, of_metric).items():
            for where in combinations(of_metric, axes, layout):
                names = (
                    blank_name(axis, axis in having, layout) if value is None else label_of(value)
                    for axis, value in zip(axes, where, strict=True)
                )
                columns[TableColumn(metric, where, variant)] = (label, *names)
    return columns


def _typed(
    columns: Mapping[TableColumn, Header], axes: Sequence[str]
) -> tuple[tuple[Scalar, ...], ...]:
    """Return column headers with the values of axes of numbers in place of their labels."""
    is_of_text = [
        any(isinstance(column.where[at], str) for column in columns) for at in range(len(axes))
    ]
    return tuple(
        (
            header[0],
            *(
                label if is_text else value
                for label, value, is_text in zip(header[1:], column.where, is_of_text, strict=True)
            ),
        )
        for column, header in columns.items()
    )


def _place(
    rows: Sequence[Row], down: Sequence[str], axes: Sequence[str]
) -> dict[tuple[Side, TableColumn], Row]:
    """Return the number of each cell; ValueError where two fall into one."""
    numbers: dict[tuple[Side, TableColumn], Row] = {}
    for row in rows:
        column = TableColumn(str(row["metric"]), _values(row, axes), _values(row, VARIANT))
        other = numbers.setdefault((_values(row, down), column), row)
        if other is not row:
            names = [name for name in ("model", *axes_of(row)) if other[name] != row[name]]
            raise ValueError(
                f"several numbers fall into one cell of {column.metric}: they differ in "
                f"{', '.join(names)}; add that to the rows or columns, or pick one with where"
            )
    return numbers


def _values(row: Row, names: Sequence[str]) -> Values:
    return tuple(row[name] for name in names)


def _cell(row: Row, remark: str | None) -> Cell:
    number = Measurement.from_row(row)
    reasons = [part for part in (number.reason, remark) if part]
    return Cell(number=replace(number, reason="; ".join(reasons) or None))


def _empty(family: Scalar, metric: str, elsewhere: str | None) -> Cell:
    """Return a cell without a number and its reason; `elsewhere` says where one was measured."""
    status = Status.MEASURED_ELSEWHERE if elsewhere else Status.NOT_RUN
    if family == ENDPOINT and metric not in ANSWERABLE:
        status, elsewhere = Status.NO_WEIGHTS, None
    reason = elsewhere or MEANINGS[status]
    return Cell(number=Measurement(metric=metric, definition="", status=status, reason=reason))


def _remarks(rows: Sequence[Row], circumstances: Mapping[str, Circumstances]) -> str:
    """Return a sentence for every model whose weights were rounded, or that lacks prompts."""
    found = [
        (label_of(row["model"]), about)
        for row in rows
        for key in str(row["key"]).split()
        if (about := circumstances.get(key)) is not None
    ]
    rounded = sorted({(model, about.rounded) for model, about in found if about.rounded})
    told = [*(f"{model}: {how}." for model, how in rounded), *losses(found)]
    return "".join(f" {sentence}" for sentence in told)


def _caption(
    rows: Sequence[Row], chosen: Selection, layout: TableLayout, axes: Sequence[str]
) -> str:
    """Return what a reader needs to know to trust the numbers."""
    parts = [describe(chosen)]
    for axis in axes_of(rows[0] if rows else ()):
        values = {label_of(row[axis]) for row in rows if row[axis] is not None}
        if axis not in (layout.seeds, *axes, *chosen.where) and len(values) == 1:
            parts.append(f"{axis} {values.pop()}")
    where = "; ".join(part for part in parts if part)
    several = any(int(row["num_seeds"] or 0) > 1 for row in rows)
    sentences = [
        f"{where[0].upper()}{where[1:]}." if where else "",
        "Intervals are 95 %, over prompt groups."
        if not several
        else "Intervals are 95 %, over prompt groups; where a number in brackets counts the "
        f"{layout.seeds}s behind a mean, over these, too.",
        "Parameters are counted, embeddings included." if "model" in layout.rows else "",
        "A dash is a missing number, not a zero.",
    ]
    return " ".join(sentence for sentence in sentences if sentence)
