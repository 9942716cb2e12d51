"""The cells of every stage, and which upstream cells each of them takes as inputs or gathers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cluster.errors import UserError
from orchestrator.plan.grid import (
    UNIT,
    Grid,
    Row,
    in_order,
    join,
    keep,
    line,
    num_joined,
    pin,
    project,
    union,
)
from orchestrator.study.study import Stage, Study

_MOST_ROWS = 500_000
"""Cells of a stage before its `where` has kept some of them."""
_MOST_CELLS = 50_000
"""Cells of a stage that are kept."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Which cell of an upstream stage a cell of this stage takes."""

    stage: str
    """The upstream stage."""
    own_axes: tuple[int | None, ...]
    """For each upstream axis: its position among the axes of this stage; None where pinned."""
    pinned: tuple[int, ...]
    """For each upstream axis: the position of the value that is pinned there; 0 where none is."""

    def row(self, row: Row) -> Row:
        """Return the upstream row that a row of this stage takes."""
        return tuple(
            [
                value if axis is None else row[axis]
                for axis, value in zip(self.own_axes, self.pinned, strict=True)
            ]
        )


def stage_grid(stage: Stage, study: Study, grids: Mapping[str, Grid]) -> Grid:
    """Return the cells of a stage, given those of all upstream stages. Raises UserError."""
    grid = _gather_grid(stage, study, grids) if stage.gather else _inherit_grid(stage, study, grids)
    kept = _keep_selected(in_order(grid, study.axes), stage, study)
    if len(kept.rows) > _MOST_CELLS:
        raise _too_many(len(kept.rows), _MOST_CELLS, stage, study)
    return kept


def agreements(
    stage: Stage, study: Study, grids: Mapping[str, Grid]
) -> Iterator[tuple[str, Agreement]]:
    """Yield for each input which upstream cell the cells of this stage take."""
    axes_here = grids[stage.name].axes
    for name, source in stage.inputs.items():
        pins = {axis: study.axes[axis].positions[value] for axis, value in source.pins.items()}
        axes = grids[source.stage].axes
        yield (
            name,
            Agreement(
                stage=source.stage,
                own_axes=tuple(None if axis in pins else axes_here.index(axis) for axis in axes),
                pinned=tuple(pins.get(axis, 0) for axis in axes),
            ),
        )


def gather_rows(
    stage: Stage, upstream: str, study: Study, grids: Mapping[str, Grid]
) -> Iterator[tuple[Row, list[Row]]]:
    """Yield each cell of a gathering stage with the cells of `upstream` that agree with it."""
    grid, gathered = grids[stage.name], grids[upstream]
    num_gathered = num_joined(grid, gathered)
    if num_gathered > _MOST_ROWS:
        raise UserError(
            f"the stage {stage.name!r} would gather {num_gathered:,} jobs of {upstream!r}; "
            f"{_MOST_ROWS:,} are the most",
            where=study.where("stages", stage.name, "per"),
            hint=f"each of its cells gathers every job of {upstream!r} that agrees with it",
        )
    shared = [axis for axis in grid.axes if axis in gathered.axes]
    own_positions = [grid.axes.index(axis) for axis in shared]
    gathered_positions = [gathered.axes.index(axis) for axis in shared]
    groups: dict[Row, list[Row]] = {}
    for row in gathered.rows:
        groups.setdefault(tuple(row[at] for at in gathered_positions), []).append(row)
    for row in grid.rows:
        yield row, groups.get(tuple(row[at] for at in own_positions), [])


def _inherit_grid(stage: Stage, study: Study, grids: Mapping[str, Grid]) -> Grid:
    grid = UNIT
    for name, source in stage.inputs.items():
        where = study.where("stages", stage.name, "inputs", name, "where")
        upstream = grids[source.stage]
        _require_axes(source.pins, upstream, f"the stage {source.stage!r}", where)
        pins = {axis: study.axes[axis].positions[value] for axis, value in source.pins.items()}
        taken = pin(upstream, pins)
        if not taken.rows:
            pinned = ", ".join(f"{axis}={value}" for axis, value in source.pins.items())
            raise UserError(f"no job of the stage {source.stage!r} has {pinned}", where=where)
        grid = _joined(grid, taken, stage, study)
    if not grid.rows:
        raise UserError(
            f"no jobs of the inputs of the stage {stage.name!r} agree on the axes they share",
            where=study.where("stages", stage.name, "inputs"),
        )
    for axis in stage.over:
        if axis in grid.axes:
            raise UserError(
                f"the stage {stage.name!r} already has the axis {axis!r} from its inputs",
                where=study.where("stages", stage.name, "over"),
                hint=f"take {axis!r} out of `over`, or pin it on the input with `where`",
            )
        grid = _joined(grid, line(axis, len(study.axes[axis].values)), stage, study)
    return grid


def _joined(left: Grid, right: Grid, stage: Stage, study: Study) -> Grid:
    """Join two grids. Raises UserError, before anything is made, for more rows than may be."""
    num_rows = num_joined(left, right)
    if num_rows > _MOST_ROWS:
        raise _too_many(num_rows, _MOST_ROWS, stage, study)
    return join(left, right)


def _too_many(number: int, most: int, stage: Stage, study: Study) -> UserError:
    return UserError(
        f"the stage {stage.name!r} would have {number:,} cells; {most:,} are the most",
        where=study.where("stages", stage.name),
        hint="the axes of a stage multiply: take some out of `over`, or give them fewer values",
    )


def _gather_grid(stage: Stage, study: Study, grids: Mapping[str, Grid]) -> Grid:
    where = study.where("stages", stage.name, "per")
    for axis in stage.per:
        if not any(axis in grids[name].axes for name in stage.gather):
            raise UserError(
                f"no gathered stage has the axis {axis!r}",
                where=where,
                allowed={axis for name in stage.gather for axis in grids[name].axes},
            )
    having_all = [grids[name] for name in stage.gather if set(stage.per) <= set(grids[name].axes)]
    if not having_all:
        raise UserError(
            f"no gathered stage has all of the axes {', '.join(stage.per)}", where=where
        )
    return union(project(grid, stage.per) for grid in having_all)


def _keep_selected(grid: Grid, stage: Stage, study: Study) -> Grid:
    """Return the cells that match any of the stage's `where`."""
    if not stage.where:
        return grid
    where = study.where("stages", stage.name, "where")
    rows: set[Row] = set()
    for pick in stage.where:
        _require_axes(pick, grid, f"the stage {stage.name!r}", where)
        accepted = {
            axis: {study.axes[axis].positions[value] for value in values}
            for axis, values in pick.items()
        }
        picked = keep(grid, accepted).rows
        if not picked:
            wanted = "; ".join(f"{axis}={','.join(sorted(pick[axis]))}" for axis in pick)
            raise UserError(f"no cell of the stage {stage.name!r} has {wanted}", where=where)
        rows.update(picked)
    return replace(grid, rows=tuple(row for row in grid.rows if row in rows))


def _require_axes(axes: Mapping[str, object], grid: Grid, owner: str, where: str) -> None:
    for axis in axes:
        if axis not in grid.axes:
            raise UserError(f"{owner} has no axis {axis!r}", where=where, allowed=grid.axes)
