"""The params of one stage, cell by cell: expanded, validated, and reduced to what is identity.

Cells that give a stage the same params share one validation: 10,000 jobs of a large study rarely
have more than some hundred different ones.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from cluster.errors import UserError
from cluster.resources import Resources
from jobs.artifacts.identity import canonical_json
from jobs.kind import Kind, Params, marked
from orchestrator.plan.grid import Grid, Row
from orchestrator.study.data_digests import digest_of
from orchestrator.study.entry_settings import choices, marked_inside
from orchestrator.study.expressions import (
    DATA_VARIABLE,
    Scope,
    axis_of,
    expressions_in,
    unknown_expression,
)
from orchestrator.study.pydantic_errors import user_error
from orchestrator.study.study import Stage, Study
from orchestrator.study.study_file import Place

Where = Callable[[Place], str]
"""`file:line` of a place inside the params, and the cell where that matters."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What params say about a job."""

    params: Mapping[str, Any]
    """As JSON, defaults written out, paths resolved."""
    validated: Params
    """The same, validated."""
    identity: Mapping[str, Any]
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


class StageParams:
    """Params of one stage for any of its cells."""

    def __init__(
        self, stage: Stage, kind: Kind[Any], study: Study, grid: Grid, known: Mapping[str, str]
    ) -> None:
        self._stage, self._kind, self._study, self._known = stage, kind, study, known
        named = self._named_axes(grid)
        self.unused = tuple(axis for axis in stage.over if axis not in named)
        """Axes of `over` that no param names: all jobs along them are one job."""
        self._axes = [
            (axis, grid.axes.index(axis), list(study.axes[axis].values.items())) for axis in named
        ]
        self._prepared: dict[Row, Prepared] = {}
        self._paths = marked(kind.Params, "path")
        self._sources = marked(kind.Params, "model_source")
        self._choices = choices(kind.Params)
        self._executions = marked(kind.Params, "execution")

    def at(self, row: Row) -> Prepared:
        """What the params say in one cell. Raises UserError with file and line."""
        seen = tuple([row[at] for _, at, _ in self._axes])
        prepared = self._prepared.get(seen)
        if prepared is None:
            values = {axis: values[row[at]] for axis, at, values in self._axes}
            prepared = self._prepared[seen] = self._prepare(values)
        return prepared

    def _named_axes(self, grid: Grid) -> list[str]:
        """The axes that expressions name, each checked to be one of the stage's."""
        named: dict[str, None] = {}
        for expression, place in expressions_in(self._stage.params):
            axis = axis_of(expression, self._study.axes)
            if axis is None and expression != DATA_VARIABLE:
                raise unknown_expression(expression, grid.axes, self._line(place))
            if axis is not None and axis not in grid.axes:
                raise UserError(
                    f"the stage {self._stage.name!r} has no axis {axis!r}",
                    where=self._line(place),
                    allowed=grid.axes,
                    hint=f"add {axis!r} to its `over`",
                )
            if axis is not None:
                named[axis] = None
        return list(named)

    def _line(self, place: Place) -> str:
        return self._study.where("stages", self._stage.name, "params", *place)

    def _prepare(self, values: Mapping[str, tuple[str, Any]]) -> Prepared:
        def where(place: Place) -> str:
            return self._line(place) + self._cell(values, place)

        raw = Scope(values=values, where=where).expand(self._stage.params)
        for name in (*self._paths, *self._sources):
            if name in raw:
                raw[name] = self._resolved(raw[name])
        for name, folder in self._choices:
            for inner in marked_inside(folder, raw.get(name), "model_source"):
                raw[name] = {**raw[name], inner: self._resolved(raw[name][inner])}
        try:
            params, pins, used, resources = self._judged(raw)
            workers = self._kind.workers(params)
            assert workers >= 1, f"kind {self._stage.kind} gave {workers} workers"
        except ValidationError as fault:
            raise user_error(fault, self._kind.Params, "param", where) from None
        except UserError as fault:
            place = self._place_of(fault, raw)
            named = ".".join(str(part) for part in place) == fault.where
            raise _at(fault, where(place), keep_where=not named) from None
        written = params.model_dump(mode="json")
        identity = self._identity(written, where)
        return Prepared(
            params=written,
            validated=params,
            identity=identity,
            pins=pins,
            used=used,
            spared=self._kind.spares(params),
            resources=resources,
            workers=workers,
        )

    def _cell(self, values: Mapping[str, tuple[str, Any]], place: Place) -> str:
        """The values that a param was written with, when it was written with any."""
        param = self._stage.params.get(str(place[0]), {}) if place else self._stage.params
        named = {axis_of(expression, values) for expression, _ in expressions_in(param)}
        shown = ",".join(f"{axis}={name}" for axis, (name, _) in values.items() if axis in named)
        return f" [{shown}]" if shown else ""

    def _resolved(self, value: Any) -> Any:
        """A local path, seen from the study file."""
        if isinstance(value, list):
            return [self._resolved(item) for item in value]
        if not isinstance(value, str) or "://" in value:
            return value
        return os.path.normpath(os.path.join(self._study.folder, os.path.expanduser(value)))

    def _judged(
        self, raw: Mapping[str, Any]
    ) -> tuple[Params, dict[str, str], frozenset[str], Resources]:
        """Params, pins, used inputs and resources, as the kind sees them."""
        params = self._kind.Params(**raw)
        pins = dict(self._kind.pins(params, self._known))
        return params, pins, self._kind.uses(params), self._kind.resources(params)

    def _place_of(self, fault: UserError, raw: Mapping[str, Any]) -> Place:
        """Return the place inside the params that a kind's fault names; empty when there is none.

        A fault names a param (`lora.rank`), or else what a param says (`format text`, a path).
        """
        where = fault.where or ""
        parts = tuple(where.split("."))
        if parts[0] in self._kind.Params.model_fields:
            return parts
        quoted = (name for name, value in raw.items() if value and where.endswith(str(value)))
        return tuple(quoted)[:1]

    def _identity(self, written: Mapping[str, Any], where: Where) -> dict[str, Any]:
        identity = dict(written)
        for name in self._executions:
            del identity[name]
        for name in self._sources:
            if "://" not in str(identity[name]):
                del identity[name]
        for name, folder in self._choices:
            held = identity[name]
            left_out = {
                *marked_inside(folder, held, "execution"),
                *(
                    inner
                    for inner in marked_inside(folder, held, "model_source")
                    if "://" not in str(held[inner])
                ),
            }
            if left_out:
                identity[name] = {each: held[each] for each in held if each not in left_out}
        for name in self._paths:
            try:
                identity[name] = _digested(identity[name])
            except UserError as fault:
                raise _at(fault, where((name,))) from None
        try:
            canonical_json(identity)
        except (TypeError, ValueError) as error:
            raise UserError(f"a param has no exact form: {error}", where=where(())) from None
        return identity


def _digested(value: Any) -> Any:
    """Digests in place of local paths; what is elsewhere stays as it is written."""
    if isinstance(value, list):
        return [_digested(item) for item in value]
    return digest_of(value) if isinstance(value, str) and "://" not in value else value


def _at(fault: UserError, where: str, keep_where: bool = True) -> UserError:
    """The same fault, pointing at the study file."""
    place = f"{where}, {fault.where}" if fault.where and keep_where else where
    return UserError(fault.error, where=place, allowed=fault.allowed, hint=fault.hint)
