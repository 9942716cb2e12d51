from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan.grid import (
    UNIT,
    Grid,
    grid_of,
    in_order,
    join,
    keep,
    line,
    num_joined,
    pin,
    project,
    union,
)


@st.composite
def grids(draw, names="abc"):
    axes = draw(st.lists(st.sampled_from(names), unique=True, max_size=3))
    row = st.tuples(*(st.integers(0, 2) for _ in axes))
    return grid_of(axes, draw(st.lists(row, max_size=8)))


def cells(grid: Grid) -> set[frozenset]:
    return {frozenset(zip(grid.axes, row, strict=True)) for row in grid.rows}


@given(grids("abc"), grids("bcd"))
def test_a_join_holds_exactly_the_pairs_that_agree(left, right):
    expected = {
        mine | theirs
        for mine, theirs in product(cells(left), cells(right))
        if len(dict(mine | theirs)) == len(mine | theirs)
    }
    assert cells(join(left, right)) == expected


@given(grids(), grids())
def test_the_order_of_a_join_does_not_matter(left, right):
    assert cells(join(left, right)) == cells(join(right, left))


@given(grids())
def test_joining_with_nothing_or_itself_changes_nothing(grid):
    assert cells(join(UNIT, grid)) == cells(grid) == cells(join(grid, grid))


@given(grids())
def test_rows_are_sorted_and_each_once(grid):
    assert list(grid.rows) == sorted(set(grid.rows))


@given(grids(), st.integers(0, 2))
def test_a_pin_is_the_kept_rows_without_the_axis(grid, value):
    if "a" in grid.axes:
        pinned = pin(grid, {"a": value})
        assert "a" not in pinned.axes
        assert cells(join(pinned, grid_of(["a"], [(value,)]))) == cells(keep(grid, {"a": {value}}))


def test_axes_that_share_nothing_make_a_product():
    grid = join(line("a", 2), line("b", 3))
    assert grid.axes == ("a", "b")
    assert grid.rows == tuple(product(range(2), range(3)))


def test_a_projection_drops_repeats_and_an_order_keeps_cells():
    grid = Grid(axes=("a", "b"), rows=((0, 1), (0, 2), (1, 0)))
    assert project(grid, ["a"]).rows == ((0,), (1,))
    assert in_order(grid, "ba") == Grid(axes=("b", "a"), rows=((0, 1), (1, 0), (2, 0)))
    assert union([project(grid, ["a"]), line("a", 3)]).rows == ((0,), (1,), (2,))


@given(sizes=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_rows_of_a_join_are_counted_as_they_are_made(sizes):
    left = join(line("a", sizes[0]), line("b", sizes[1]))
    right = join(line("b", sizes[2]), line("c", sizes[3]))
    assert num_joined(left, right) == len(join(left, right).rows)
