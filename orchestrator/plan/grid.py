"""Sets of cells and how they combine: product, agreement (natural join), pins, projection.

A row holds, for each axis of its grid, the position of a value on that axis; rows are sorted, so
that equal studies are planned in equal order.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Row = tuple[int, ...]
"""Positions of values, one for each axis of a grid."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A set of cells over the same axes."""

    axes: tuple[str, ...]
    """Names of the axes."""
    rows: tuple[Row, ...]
    """The cells, sorted, each once."""


UNIT = Grid(axes=(), rows=((),))
"""The grid of no axes: one cell."""


def grid_of(axes: Sequence[str], rows: Iterable[Row]) -> Grid:
    """Make a grid of these rows, sorted, each once."""
    return Grid(axes=tuple(axes), rows=tuple(sorted(set(rows))))


def line(axis: str, num_values: int) -> Grid:
    """Make the grid of all values of one axis."""
    return Grid(axes=(axis,), rows=tuple((position,) for position in range(num_values)))


def join(left: Grid, right: Grid) -> Grid:
    """Join rows that agree on every axis they share; a product where the grids share none.

    The axes of the result are those of `left`, then what `right` adds.
    """
    shared = [axis for axis in left.axes if axis in right.axes]
    added = [position for position, axis in enumerate(right.axes) if axis not in shared]
    at_left = [left.axes.index(axis) for axis in shared]
    at_right = [right.axes.index(axis) for axis in shared]
    agreeing: dict[Row, list[Row]] = {}
    for row in right.rows:
        rest = tuple(row[position] for position in added)
        agreeing.setdefault(tuple(row[position] for position in at_right), []).append(rest)
    return grid_of(
        (*left.axes, *(right.axes[position] for position in added)),
        (
            row + rest
            for row in left.rows
            for rest in agreeing.get(tuple(row[position] for position in at_left), ())
        ),
    )


def num_joined(left: Grid, right: Grid) -> int:
    """Return how many rows the join of two grids has, without making it."""
    shared = [axis for axis in left.axes if axis in right.axes]
    counts = [
        Counter(tuple(row[at] for at in places) for row in grid.rows)
        for grid in (left, right)
        for places in [[grid.axes.index(axis) for axis in shared]]
    ]
    return sum(number * counts[1][values] for values, number in counts[0].items())


def pin(grid: Grid, pins: Mapping[str, int]) -> Grid:
    """Keep the rows that have the pinned values, and drop the pinned axes."""
    kept = keep(grid, {axis: {position} for axis, position in pins.items()})
    return project(kept, [axis for axis in grid.axes if axis not in pins])


def keep(grid: Grid, accepted: Mapping[str, Iterable[int]]) -> Grid:
    """Keep the rows whose value on every named axis is accepted."""
    tests = [(grid.axes.index(axis), frozenset(values)) for axis, values in accepted.items()]
    rows = tuple(
        row for row in grid.rows if all(row[position] in values for position, values in tests)
    )
    return Grid(axes=grid.axes, rows=rows)


def project(grid: Grid, axes: Sequence[str]) -> Grid:
    """Project the cells on some of the axes, in the order given."""
    at = [grid.axes.index(axis) for axis in axes]
    return grid_of(axes, (tuple(row[position] for position in at) for row in grid.rows))


def union(grids: Iterable[Grid]) -> Grid:
    """Unite the cells of grids that have the same axes."""
    grids = list(grids)
    assert len({grid.axes for grid in grids}) == 1, "only grids over the same axes unite"
    return grid_of(grids[0].axes, (row for grid in grids for row in grid.rows))


def in_order(grid: Grid, axes: Iterable[str]) -> Grid:
    """Reorder the axes of a grid as they stand in a larger list."""
    return project(grid, [axis for axis in axes if axis in grid.axes])
