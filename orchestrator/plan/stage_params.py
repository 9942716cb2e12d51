"""The params of one stage, cell by cell: expanded, validated, and reduced to what is identity.

Cells that give a stage the same params share one validation: 10,000 jobs of a large study rarely
have more than some hundred different ones.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from cluster.errors import UserError
from cluster.redaction.redactor import redacted
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.entries.own_entries import PIN, OwnEntries
from jobs.hub.repository import is_hub_data
from jobs.kind import KINDS, Kind, Params
from jobs.text.hub_data import not_in_root, place_of_data
from orchestrator.plan.grid import Grid, Row
from orchestrator.plan.identity_params import ParamMarks
from orchestrator.plan.own_code import paths_used
from orchestrator.plan.prepared import Prepared, RecordedParams
from orchestrator.study import expressions
from orchestrator.study.pydantic_errors import user_error
from orchestrator.study.study import Stage, Study
from orchestrator.study.study_file import Place

_MOST_CHARACTERS = 10_000_000
"""Characters that the expressions of a stage stand for, all together."""
_Values = Mapping[str, tuple[str, object]]
"""Axis -> label and value in one cell."""


@dataclass(frozen=True, kw_only=True)
class OutsideData:
    """What planning does about data and models outside of the root; by default it needs them."""

    recorded: RecordedParams | None = None
    """What the last launch recorded; None where there is nothing that fits the study."""
    is_recorded_enough: bool = False
    """True to take what was recorded as it is, of the files that were launched with: the study is
    only asked about."""
    may_be_absent: bool = False
    """True to plan also where files are not here that lie below the data folder, or that the study
    says where to have, or that nobody fetched from the hub; their keys stay open."""
    root: Storage | None = None
    """The output root, which may hold data of the hub; None: there is none."""


def is_same_data(job: Job, revisions: Mapping[str, str]) -> bool:
    """Return True when the files and models that a job's params name have not changed since.

    Own entries of the study are held against what was read of them elsewhere.
    """
    kind = KINDS.find(job.kind)
    own = {name: pin for name, pin in job.pins.items() if name.startswith(PIN)}
    try:
        pins = {**kind.pins(job.params_as(kind.Params), revisions), **own}
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
        outside: OutsideData,
        own: OwnEntries,
    ) -> None:
        self._stage, self._kind, self._study, self._revisions = stage, kind, study, revisions
        self._own = own
        self._outside = outside
        axes = self._named_axes(grid)
        self.unused = tuple(axis for axis in stage.over if axis not in axes)
        """Axes of `over` that no param names: all jobs along them are one job."""
        self._axes = [
            (axis, grid.axes.index(axis), list(study.axes[axis].values.items())) for axis in axes
        ]
        self.prepared: dict[Row, Prepared] = {}
        """Places of the values of the axes that params name -> what they say; grown by `at`."""
        self._marks = ParamMarks(kind.Params)

    def at(self, row: Row) -> Prepared:
        """Return what the params say in one cell. Raises UserError with file and line."""
        named_values = tuple([row[at] for _, at, _ in self._axes])
        prepared = self.prepared.get(named_values)
        if prepared is None:
            values = {axis: values[row[at]] for axis, at, values in self._axes}
            prepared = self._as_launched(named_values, values) or self._prepare(values)
            if prepared.absent:
                prepared = self._recorded(named_values) or prepared
            self.prepared[named_values] = prepared
        return prepared

    def _as_launched(self, named_values: Row, values: _Values) -> Prepared | None:
        """Return what was recorded, where that is enough; None where other files are meant here.

        A copy of a study beside files of its own says the same words of other data.
        """
        recorded = self._recorded(named_values) if self._outside.is_recorded_enough else None
        if recorded is None or self._study.recorded_in is not None:
            return recorded
        cell = expressions.CellValues(values=values, where=self._line, may_lack_data=True)
        here = self._marks.local_paths(
            self._marks.resolve_paths(cell.expand(self._stage.params), self._study.folder)
        )
        others = here - self._marks.local_paths(recorded.params)
        return None if others and all(map(os.path.exists, here)) else recorded

    def _recorded(self, named_values: Row) -> Prepared | None:
        recorded = self._outside.recorded
        return (
            None if recorded is None else recorded.find(self._stage.name, named_values, self._kind)
        )

    def _named_axes(self, grid: Grid) -> list[str]:
        """Return the axes that expressions name, each checked to be one of the stage's."""
        axes: dict[str, None] = {}
        sizes: dict[str, int] = {}
        num_characters = 0
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
                if axis not in sizes:
                    values = self._study.axes[axis].values.values()
                    sizes[axis] = max((len(str(value)) for value in values), default=0)
                num_characters += sizes[axis]
                if num_characters > _MOST_CHARACTERS:
                    raise UserError(
                        f"the params of the stage {self._stage.name!r} are too large once ${{}} is "
                        "replaced by what it stands for",
                        where=self._line(place),
                    )
        return list(axes)

    def _line(self, place: Place) -> str:
        return self._study.where("stages", self._stage.name, "params", *place)

    def _prepare(self, values: _Values) -> Prepared:
        def where(place: Place) -> str:
            # A value may be a key in place of its variable's name.
            return redacted(self._line(place) + self._cell_of(values, place))

        in_small = self._study.in_small
        lacks = self._outside.may_be_absent or in_small is not None
        cell = expressions.CellValues(values=values, where=where, may_lack_data=lacks)
        raw = self._marks.resolve_paths(cell.expand(self._stage.params), self._study.folder)
        try:
            raw = self._marks.replace_paths(raw, lambda path: self._fetched(path, lacks))
            if in_small is not None:
                self._kind.Params(**raw)  # what is wrong is told as in a launch
                raw = in_small(self._stage.name, raw, self._is_absent)
            absent = (
                tuple(file for file in _texts_in(raw) if self._is_absent(file)) if lacks else ()
            )
            self._marks.check_paths(raw)
            params = self._kind.Params(**raw)
            pins = {} if absent else dict(self._kind.pins(params, self._revisions))
            used, spared = self._kind.uses(params), self._kind.spares(params)
            resources, workers = self._kind.resources(params), self._kind.workers(params)
            own = paths_used(self._own, self._stage.kind, self._kind, params)
            pins |= self._own.pins(own)
        except ValidationError as fault:
            raise user_error(fault, self._kind.Params, raw, "param", where) from None
        except UserError as fault:
            place = self._place_of(fault, raw)
            line = where(place)
            if fault.where and fault.where != ".".join(str(part) for part in place):
                line = f"{line}, {fault.where}"
            path = fault.where or ""
            hint = None if os.path.exists(path) else self._study.whence(path) or self._moved()
            raise fault.at(line, hint=hint) from None
        assert workers >= 1, f"kind {self._stage.kind} gave {workers} workers"
        written = params.model_dump(mode="json")
        return Prepared(
            params=written,
            validated=params,
            identity=self._marks.identity(_with_open(written, absent), where),
            pins=pins,
            used=used,
            spared=spared,
            resources=resources,
            workers=workers,
            own=own,
            absent=absent,
        )

    def _moved(self) -> str | None:
        """Say that the folder of a study that was asked for by its name has gone, if it has."""
        if self._study.recorded_in is None or self._study.folder.is_dir():
            return None
        return f"it was launched from {self._study.folder}: launch its file where that lies now"

    def _fetched(self, path: str, may_be_absent: bool) -> str:
        """Return where data of the hub lie in the root; other paths as they are.

        Raises:
            UserError: they are not there, and planning needs them.
        """
        if not is_hub_data(path):
            return path
        place = place_of_data(path, self._outside.root, self._revisions)
        if place is None and not may_be_absent:
            root = self._outside.root
            raise not_in_root(path, f"{self._study.words}{f' --root {root.url}' if root else ''}")
        return str(place or path)

    def _is_absent(self, file: str) -> bool:
        """Whether a text in params is data that is not here: of the data folder, or declared.

        Any other path that leads nowhere is a mistake.
        """
        folder = expressions.data_folder()
        if expressions.DATA_FOLDER in file or is_hub_data(file):
            return True
        is_data = folder and _is_in(file, os.path.normpath(folder))
        is_declared = "://" not in file and self._study.whence(file) is not None
        return bool(is_data or is_declared) and not os.path.exists(file)

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


def _is_in(file: str, folder: str) -> bool:
    return file == folder or file.startswith(folder.rstrip("/") + "/")


def _texts_in(value: object) -> Iterator[str]:
    """Yield every text that params hold."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts_in(item)


def _with_open(value: Any, absent: tuple[str, ...]) -> Any:
    """Return params with every absent file as a URL, which nobody tries to open."""
    if isinstance(value, str):
        return f"absent://{value}" if value in absent else value
    if isinstance(value, Mapping):
        return {name: _with_open(item, absent) for name, item in value.items()}
    return [_with_open(item, absent) for item in value] if isinstance(value, list) else value
