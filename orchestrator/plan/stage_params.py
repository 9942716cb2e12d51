"""The params of one stage, cell by cell: expanded, validated, and reduced to what is identity.

Cells that give a stage the same params share one validation: 10,000 jobs of a large study rarely
have more than some hundred different ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from cluster.errors import UserError
from cluster.resources import Resources
from jobs.artifacts.job import Job
from jobs.kind import KINDS, Kind, Params
from orchestrator.plan.grid import Grid, Row
from orchestrator.plan.identity_params import ParamMarks
from orchestrator.study import expressions
from orchestrator.study.pydantic_errors import user_error
from orchestrator.study.study import Stage, Study
from orchestrator.study.study_file import Place

_Values = Mapping[str, tuple[str, object]]
"""Axis -> label and value in one cell."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What the params of a cell say about its job."""

    params: Mapping[str, Any]
    """All params as JSON, defaults written out, paths resolved."""
    validated: Params
    """The same, validated."""
    identity: Mapping[str, object]
    """The part that changes a number; files as digests."""
    pins: Mapping[str, str]
    """Digests and revisions of outside data, from the kind."""
    used: frozenset[str]
    """Inputs that these params make the job use."""
    spared: frozenset[str]
    """Those of them that the job can do without."""
    resources: Resources
    """What the job needs of a machine."""
    workers: int
    """Most attempts that may share the job at a time."""


def is_same_data(job: Job, revisions: Mapping[str, str]) -> bool:
    """Return True when the files and models that a job's params name have not changed since."""
    kind = KINDS.find(job.kind)
    try:
        pins = kind.pins(job.params_as(kind.Params), revisions)
        identity = ParamMarks(kind.Params).identity(job.params, lambda place: job.label)
    except UserError:
        return False  # planning again reports the fault with file and line
    return pins == job.pins and identity == job.identity_params


class StageParams:
    """Params of one stage for any of its cells."""

    def __init__(
        self,
        stage: Stage,
        kind: Kind[Params],
        study: Study,
        grid: Grid,
        revisions: Mapping[str, str],
    ) -> None:
        self._stage, self._kind, self._study, self._revisions = stage, kind, study, revisions
        axes = self._named_axes(grid)
        self.unused = tuple(axis for axis in stage.over if axis not in axes)
        """Axes of `over` that no param names: all jobs along them are one job."""
        self._axes = [
            (axis, grid.axes.index(axis), list(study.axes[axis].values.items())) for axis in axes
        ]
        self._prepared: dict[Row, Prepared] = {}
        self._marks = ParamMarks(kind.Params)

    def at(self, row: Row) -> Prepared:
        """Return what the params say in one cell. Raises UserError with file and line."""
        named_values = tuple([row[at] for _, at, _ in self._axes])
        prepared = self._prepared.get(named_values)
        if prepared is None:
            values = {axis: values[row[at]] for axis, at, values in self._axes}
            prepared = self._prepared[named_values] = self._prepare(values)
        return prepared

    def _named_axes(self, grid: Grid) -> list[str]:
        """Return the axes that expressions name, each checked to be one of the stage's."""
        axes: dict[str, None] = {}
        for expression, place in expressions.expressions_in(self._stage.params):
            axis = expressions.axis_of(expression, self._study.axes)
            if axis is None and expression != expressions.DATA_VARIABLE:
                raise expressions.unknown_expression(expression, grid.axes, self._line(place))
            if axis is not None and axis not in grid.axes:
                raise UserError(
                    f"the stage {self._stage.name!r} has no axis {axis!r}",
                    where=self._line(place),
                    allowed=grid.axes,
                    hint=f"add {axis!r} to its `over`",
                )
            if axis is not None:
                axes[axis] = None
        return list(axes)

    def _line(self, place: Place) -> str:
        return self._study.where("stages", self._stage.name, "params", *place)

    def _prepare(self, values: _Values) -> Prepared:
        def where(place: Place) -> str:
            return self._line(place) + self._cell_of(values, place)

        raw = expressions.CellValues(values=values, where=where).expand(self._stage.params)
        raw = self._marks.resolve_paths(raw, self._study.folder)
        try:
            params = self._kind.Params(**raw)
            pins = dict(self._kind.pins(params, self._revisions))
            used, spared = self._kind.uses(params), self._kind.spares(params)
            resources, workers = self._kind.resources(params), self._kind.workers(params)
        except ValidationError as fault:
            raise user_error(fault, self._kind.Params, "param", where) from None
        except UserError as fault:
            place = self._place_of(fault, raw)
            line = where(place)
            if fault.where and fault.where != ".".join(str(part) for part in place):
                line = f"{line}, {fault.where}"
            raise UserError(
                fault.error, where=line, allowed=fault.allowed, hint=fault.hint
            ) from None
        assert workers >= 1, f"kind {self._stage.kind} gave {workers} workers"
        written = params.model_dump(mode="json")
        return Prepared(
            params=written,
            validated=params,
            identity=self._marks.identity(written, where),
            pins=pins,
            used=used,
            spared=spared,
            resources=resources,
            workers=workers,
        )

    def _cell_of(self, values: _Values, place: Place) -> str:
        """Write the axis values that a param is written with as ` [axis=value]`; empty for none."""
        param = self._stage.params.get(str(place[0]), {}) if place else self._stage.params
        axes = {
            expressions.axis_of(expression, values)
            for expression, _ in expressions.expressions_in(param)
        }
        cell = ",".join(f"{axis}={label}" for axis, (label, _) in values.items() if axis in axes)
        return f" [{cell}]" if cell else ""

    def _place_of(self, fault: UserError, raw: Mapping[str, object]) -> Place:
        """Return the place inside the params that a kind's fault names; empty when there is none.

        A fault names a param (`lora.rank`), or else what a param says (`format text`, a path).
        """
        where = fault.where or ""
        parts = tuple(where.split("."))
        if parts[0] in self._kind.Params.model_fields:
            return parts
        quoted = (name for name, value in raw.items() if value and where.endswith(str(value)))
        return tuple(quoted)[:1]
