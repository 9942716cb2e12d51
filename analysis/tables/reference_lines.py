"""Rows of a table for published numbers, each in the column of its metric and cell."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.long_table.columns import axes_of
from analysis.measurement import Measurement, Row, Scalar, label_of
from analysis.status import Status
from analysis.tables.layout import TableLayout
from analysis.tables.reference import REFERENCES, Published
from analysis.tables.rounding import format_count
from analysis.tables.table import Cell, Header

_PLAIN = "plain"
"""Transform of the prompts of published numbers."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The metric and the cell of one column of the table."""

    metric: str
    """Name of the metric."""
    where: Mapping[str, str | None]
    """Axis -> its value, of the axes across and of those that are the same all over the table."""
    across: frozenset[str]
    """The axes in which columns differ."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the table."""

    header: Header
    """Row header, as people read it."""
    values: tuple[Scalar, ...]
    """Row header for programs, counts as numbers."""
    cells: tuple[Cell, ...]
    """Cells of the row."""


def places(
    rows: Sequence[Row], columns: Sequence[tuple[str, Sequence[Scalar]]], axes: Sequence[str]
) -> list[Place]:
    """Return the place of each column, given as metric and values of the axes across."""
    constant = {}
    for axis in axes_of(rows[0] if rows else ()):
        values = {row[axis] for row in rows}
        if axis not in axes and len(values) == 1:
            constant[axis] = _text(values.pop())
    return [
        Place(
            metric=metric,
            where=constant | dict(zip(axes, map(_text, values), strict=True)),
            across=frozenset(axes),
        )
        for metric, values in columns
    ]


def reference_lines(
    names: Sequence[str],
    columns: Sequence[Place],
    layout: TableLayout,
    num_extra: int,
    families: Collection[Scalar],
) -> Iterator[Line]:
    """Yield header and cells of every published model; ValueError for a name that does not exist.

    Models must go down the side: a published number belongs to one. Where other axes do, too, a
    model has a line for each combination of theirs that something was published of, and only
    models of our families have any.
    """
    if names and "model" not in layout.rows:
        raise ValueError("references are rows of models: the axis 'model' is not among the rows")
    for name in names:
        reference = REFERENCES.find(name)
        down = [axis for axis in layout.rows if axis != "model"]
        for model in dict.fromkeys(number.model for number in reference.NUMBERS):
            numbers = [number for number in reference.NUMBERS if number.model == model]
            if down and numbers[0].family not in families:
                continue
            sides = dict.fromkeys(tuple(map(number.cell.get, down)) for number in numbers)
            for side in map(dict, (zip(down, side, strict=True) for side in sides)):
                here = [
                    replace(place, where={**place.where, **side}, across=place.across | set(down))
                    for place in columns
                ]
                cells = tuple(_cell(numbers, place, here) for place in here)
                if down and all(cell.number.value is None for cell in cells):
                    continue
                values = _header(numbers[0], reference.CITATION, layout, side)
                values += (None,) * num_extra
                count = format_count(numbers[0].num_parameters)
                yield Line(
                    header=tuple(
                        count if isinstance(part, int) else "" if part is None else label_of(part)
                        for part in values
                    ),
                    values=values,
                    cells=cells,
                )


def _header(
    number: Published, citation: str, layout: TableLayout, side: Mapping[str, str | None]
) -> tuple[Scalar, ...]:
    model = (number.family, f"{number.model} ({citation})", number.num_parameters)
    parts = [model if axis == "model" else (_scalar(side[axis]),) for axis in layout.rows]
    return tuple(name for part in parts for name in part)


def _scalar(text: str | None) -> Scalar:
    """Return the number that a text writes, as an axis of numbers holds it; else the text."""
    try:
        return text if text is None else float(text)
    except ValueError:
        return text


def _cell(numbers: Sequence[Published], column: Place, columns: Sequence[Place]) -> Cell:
    metrics = {place.metric for place in columns}
    fitting = [
        number
        for number in numbers
        if column.metric == next((name for name in number.metrics if name in metrics), None)
        and _fits(number, column)
    ]
    about = Measurement(metric=column.metric, definition="")
    if len(fitting) != 1:
        return Cell(number=replace(about, status=Status.NOT_RUN, reason="not published"))
    value = fitting[0].value
    return Cell(number=replace(about, value=value, reason=fitting[0].note), shown=f"{value:.4g}")


def _fits(number: Published, column: Place) -> bool:
    """Whether a column has the cell of a published number, on plain prompts."""
    if not set(number.cell) <= set(column.where):
        return False
    for axis, value in column.where.items():
        published = number.cell.get(axis)
        matters = axis in number.cell or axis in column.across or axis == "objective"
        if matters and value != published and not (published is None and value == _PLAIN):
            return False
    return True


def _text(value: Scalar) -> str | None:
    return None if value is None else label_of(value)
