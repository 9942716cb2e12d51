"""The cells of every stage, and which upstream cells each of them takes: cells, agree, gather."""

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
    pin,
    project,
    union,
)
from orchestrator.study.study import Stage, Study


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How a cell of one stage finds the cell it takes of another."""

    stage: str
    """The upstream stage."""
    positions: tuple[int, ...]
    """For each axis upstream: its position among our axes, or -1 - (value pinned there)."""

    def row(self, own: Row) -> Row:
        """The upstream row that one of our rows takes."""
        return tuple([own[at] if at >= 0 else -1 - at for at in self.positions])


def stage_grid(stage: Stage, study: Study, grids: Mapping[str, Grid]) -> Grid:
    """The cells of a stage, given those of all upstream stages. Raises UserError."""
    grid = _gathered(stage, study, grids) if stage.gather else _inherited(stage, study, grids)
    return _kept(in_order(grid, study.axes), stage, study)


def agreements(
    stage: Stage, study: Study, grids: Mapping[str, Grid]
) -> Iterator[tuple[str, Agreement]]:
    """For each input: how this stage's cells find the cell they take."""
    own = grids[stage.name].axes
    for name, source in stage.inputs.items():
        positions = tuple(
            -1 - study.axes[axis].positions[source.pins[axis]]
            if axis in source.pins
            else own.index(axis)
            for axis in grids[source.stage].axes
        )
        yield name, Agreement(stage=source.stage, positions=positions)


def gathered_rows(
    stage: Stage, upstream: str, grids: Mapping[str, Grid]
) -> Iterator[tuple[Row, list[Row]]]:
    """For each cell of a gathering stage: the cells of `upstream` that agree with it."""
    own, theirs = grids[stage.name], grids[upstream]
    shared = [axis for axis in own.axes if axis in theirs.axes]
    at_own = [own.axes.index(axis) for axis in shared]
    at_theirs = [theirs.axes.index(axis) for axis in shared]
    groups: dict[Row, list[Row]] = {}
    for row in theirs.rows:
        groups.setdefault(tuple(row[at] for at in at_theirs), []).append(row)
    for row in own.rows:
        yield row, groups.get(tuple(row[at] for at in at_own), [])


def _inherited(stage: Stage, study: Study, grids: Mapping[str, Grid]) -> Grid:
    grid = UNIT
    for name, source in stage.inputs.items():
        where = study.where("stages", stage.name, "inputs", name, "where")
        upstream = grids[source.stage]
        _require_axes(source.pins, upstream, f"the stage {source.stage!r}", where)
        pins = {axis: study.axes[axis].positions[value] for axis, value in source.pins.items()}
        taken = pin(upstream, pins)
        if not taken.rows:
            raise UserError(f"this selects no job of the stage {source.stage!r}", where=where)
        grid = join(grid, taken)
    if not grid.rows:
        raise UserError(
            f"no jobs of the inputs of the stage {stage.name!r} agree on the axes they share",
            where=study.where("stages", stage.name, "inputs"),
        )
    for axis in stage.over:
        if axis in grid.axes:
            raise UserError(
                f"the stage {stage.name!r} has the axis {axis!r} from its inputs already",
                where=study.where("stages", stage.name, "over"),
                hint=f"take {axis!r} out of `over`, or pin it on the input with `where`",
            )
        grid = join(grid, line(axis, len(study.axes[axis].values)))
    return grid


def _gathered(stage: Stage, study: Study, grids: Mapping[str, Grid]) -> Grid:
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
            f"no gathered stage has all of the axes {', '.join(stage.per)}",
            where=where,
        )
    return union(project(grid, stage.per) for grid in having_all)


def _kept(grid: Grid, stage: Stage, study: Study) -> Grid:
    """The cells that match any of the stage's `where`."""
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
            shown = "; ".join(f"{axis}={','.join(sorted(pick[axis]))}" for axis in pick)
            raise UserError(f"this selects nothing: {shown}", where=where)
        rows.update(picked)
    return replace(grid, rows=tuple(row for row in grid.rows if row in rows))


def _require_axes(named: Mapping[str, object], grid: Grid, owner: str, where: str) -> None:
    for axis in named:
        if axis not in grid.axes:
            raise UserError(f"{owner} has no axis {axis!r}", where=where, allowed=grid.axes)
