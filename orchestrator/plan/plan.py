"""`Plan`: the jobs that answer a study, in an order in which each comes after all it reads."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cluster.errors import UserError, unknown_name
from jobs.artifacts.job import AxisValues, Cell, InputRef, Job
from jobs.entries.own_entries import PIN, OwnEntries
from jobs.kind import Kind, Params
from orchestrator.plan.cells import agreements, gather_rows, stage_grid
from orchestrator.plan.grid import Grid, Row
from orchestrator.plan.own_code import own_entries_of
from orchestrator.plan.prepared import Prepared
from orchestrator.plan.stage_params import OutsideData, StageParams, is_same_data
from orchestrator.study.stage_checks import missing_input, ordered_stages
from orchestrator.study.study import Stage, Study

_MOST_JOBS = 100_000
"""Jobs of a study: ten times the largest that anybody has in mind."""
_Inputs = dict[str, Sequence[InputRef]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The jobs of a study."""

    study: Study
    """The question."""
    revisions: Mapping[str, str] = field(default_factory=dict)
    """Revisions it was planned with: `hf://id@revision` -> what that stood for."""
    jobs: tuple[Job, ...]
    """All jobs, upstream first. Two may have one key: they are the same work, done once."""
    notes: tuple[str, ...] = ()
    """Things that are no error, but that the user should look at; each with file and line."""
    prepared: Mapping[str, Mapping[Row, Prepared]] = field(default_factory=dict)
    """Stage -> places of the values of the axes that its params name -> what they say."""
    own: OwnEntries = field(default_factory=OwnEntries)
    """The entries that the study brings along."""
    open: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys that are not known yet -> the absent files and folders that they depend on."""

    @cached_property
    def by_key(self) -> Mapping[str, Job]:
        """Key -> the first job that has it; upstream first."""
        first: dict[str, Job] = {}
        for job in self.jobs:
            first.setdefault(job.key, job)
        return first

    @cached_property
    def stages(self) -> Mapping[str, tuple[Job, ...]]:
        """Stage -> its jobs, upstream stages first."""
        by_stage: dict[str, list[Job]] = {}
        for job in self.jobs:
            by_stage.setdefault(job.stage, []).append(job)
        return {stage: tuple(jobs) for stage, jobs in by_stage.items()}


def make_plan(
    study: Study,
    revisions: Mapping[str, str] | None = None,
    outside: OutsideData | None = None,
    own: OwnEntries | None = None,
) -> Plan:
    """Plan every job of a study. Raises UserError with file and line; writes nothing.

    Args:
        study: the question.
        revisions: what earlier launches resolved (`hf://id@revision` -> revision), to pin.
        outside: what to do about data and models outside of the root; None needs them.
        own: the entries that the study brings along; None reads them from its folder.
    """
    own = own_entries_of(study) if own is None else own
    planner = _Planner(study, revisions or {}, outside or OutsideData(), own)
    with own.bringing():
        for stage, kind in ordered_stages(study):
            planner.add(stage, kind)
    return Plan(
        study=study,
        revisions=dict(revisions or {}),
        jobs=tuple(planner.jobs),
        notes=tuple(planner.notes()),
        prepared=planner.prepared,
        own=own,
        open=planner.open,
    )


def is_current(plan: Plan, revisions: Mapping[str, str]) -> bool:
    """Return True when planning again would give the same keys: no revision or file has changed.

    Files of the same size and time of change are not read again.
    """
    distinct = {id(job.params): job for job in plan.jobs}
    with plan.own.bringing():
        return plan.revisions == revisions and all(
            is_same_data(job, revisions) for job in distinct.values()
        )


class _Planner:
    """Grows the plan stage by stage, upstream first."""

    def __init__(
        self, study: Study, revisions: Mapping[str, str], outside: OutsideData, own: OwnEntries
    ) -> None:
        self.study = study
        self.revisions = revisions
        self.jobs: list[Job] = []
        self.prepared: dict[str, Mapping[Row, Prepared]] = {}
        self.open: dict[str, tuple[str, ...]] = {}
        self._outside = outside
        self._own = own
        self._own_paths: dict[str, frozenset[str]] = {}
        self._sent: dict[frozenset[str], Mapping[str, Any]] = {frozenset(): {}}
        self._notes: list[str] = []
        self._kinds: dict[str, Kind[Params]] = {}
        self._grids: dict[str, Grid] = {}
        self._refs: dict[str, dict[Row, InputRef]] = {}

    def add(self, stage: Stage, kind: Kind[Params]) -> None:
        """Plan the jobs of one more stage."""
        self._kinds[stage.name] = kind
        grid = self._grids[stage.name] = stage_grid(stage, self.study, self._grids)
        if len(self.jobs) + len(grid.rows) > _MOST_JOBS:
            raise UserError(
                f"the study would have more than {_MOST_JOBS:,} jobs",
                where=self.study.where("stages", stage.name),
                hint="make two studies of it: on one root they share their work",
            )
        params = StageParams(
            stage, kind, self.study, grid, self.revisions, self._outside, self._own
        )
        self.prepared[stage.name] = params.prepared
        if params.unused:
            where = self.study.where("stages", stage.name, "over")
            self._notes.append(
                f"{where}: no param of the stage {stage.name!r} names ${{{params.unused[0]}}}, "
                f"so its jobs along that axis are one job"
            )
        inputs = self._gather_inputs(stage) if kind.GATHERS else self._match_inputs(stage)
        if kind.GATHERS and grid.rows:
            self._check_named_axes(stage, kind, params.at(grid.rows[0]))
        axes = [self.study.axes[axis] for axis in grid.axes]
        labels = [list(axis.values) for axis in axes]
        values = [[axis.value_of(label) for label in axis.values] for axis in axes]
        refs = self._refs[stage.name] = {}
        for row in grid.rows:
            prepared = params.at(row)
            job = self._job(
                stage,
                kind,
                {axis: labels[at][row[at]] for at, axis in enumerate(grid.axes)},
                {axis: values[at][row[at]] for at, axis in enumerate(grid.axes)},
                prepared,
                inputs(row),
            )
            self.jobs.append(job)
            self._note_absent(job, prepared)
            refs[row] = InputRef(
                kind=stage.kind,
                key=job.key,
                stage=stage.name,
                cell=job.cell,
                values=job.axis_values,
            )

    def _note_absent(self, job: Job, prepared: Prepared) -> None:
        """Note on what absent data the key of a job depends, its own and of what it reads."""
        absent = dict.fromkeys(prepared.absent)
        if self.open:
            for refs in job.inputs.values():
                for ref in refs:
                    absent.update(dict.fromkeys(self.open.get(ref.key, ())))
        if absent:
            self.open[job.key] = tuple(absent)

    def _check_named_axes(self, stage: Stage, kind: Kind[Params], prepared: Prepared) -> None:
        """Raise UserError where params name an axis that no gathered stage has."""
        axes_there = {axis for name in stage.gather for axis in self._grids[name].axes}
        for name in stage.gather:
            axes_there.update(self._kinds[name].SWEEPS)
        for param, axes in kind.axes_named(prepared.validated).items():
            for axis in axes:
                if axis.removeprefix("axis_") not in axes_there:
                    where = self.study.where("stages", stage.name, "params", param)
                    raise unknown_name("axis", axis, sorted(axes_there), where=where)
        labels = {
            axis: list(self.study.axes[axis].values) for axis in axes_there & set(self.study.axes)
        }
        try:
            kind.check_values(prepared.validated, labels)
        except ValueError as fault:
            where = self.study.where("stages", stage.name, "params")
            raise UserError(str(fault), where=where) from fault

    def _job(
        self,
        stage: Stage,
        kind: Kind[Params],
        cell: Cell,
        axis_values: AxisValues,
        prepared: Prepared,
        inputs: _Inputs,
    ) -> Job:
        used = self._select_inputs(stage, kind, prepared, inputs)
        own = prepared.own
        if self._own_paths:  # what a job reads may be of a kind or a format of the study's own
            upstream = (ref.key for name in used for ref in inputs[name])
            own = own.union(*(self._own_paths.get(key, frozenset()) for key in upstream))
        if own not in self._sent:
            self._sent[own] = self._own.sent(own)
        job = Job(
            kind=stage.kind,
            version=kind.VERSION,
            params=prepared.params,
            validated=prepared.validated,
            identity_params=prepared.identity,
            pins=prepared.pins,
            inputs={name: refs for name, refs in inputs.items() if name in used},
            used=used,
            gathers=kind.GATHERS,
            stage=stage.name,
            cell=cell,
            axis_values=axis_values,
            resources=prepared.resources,
            workers=prepared.workers,
            own_code=self._sent[own],
        )
        if own:
            self._own_paths[job.key] = own
        return job

    def _select_inputs(
        self, stage: Stage, kind: Kind[Params], prepared: Prepared, inputs: _Inputs
    ) -> frozenset[str]:
        """Return the inputs that a job reads: all it gathers, or those that its params use."""
        if kind.GATHERS:
            return frozenset(inputs)
        for name in prepared.used - inputs.keys() - prepared.spared:
            raise missing_input(stage, name, kind.INPUTS[name].kinds, self.study)
        return prepared.used & inputs.keys()

    def _match_inputs(self, stage: Stage) -> Callable[[Row], _Inputs]:
        """Return a function from a row of the stage to its inputs: the jobs that agree with it."""
        upstream = [
            (name, agreement, self._refs[agreement.stage])
            for name, agreement in agreements(stage, self.study, self._grids)
        ]
        return lambda row: {name: (refs[agreement.row(row)],) for name, agreement, refs in upstream}

    def _gather_inputs(self, stage: Stage) -> Callable[[Row], _Inputs]:
        """Return a function from a row of the stage to its inputs: all jobs that it gathers."""
        inputs: dict[Row, _Inputs] = {row: {} for row in self._grids[stage.name].rows}
        for upstream in stage.gather:
            refs = self._refs[upstream]
            for row, gathered in gather_rows(stage, upstream, self.study, self._grids):
                inputs[row][upstream] = tuple(refs[other] for other in gathered)
        return inputs.__getitem__

    def notes(self) -> list[str]:
        """Return notes on what the user should look at, each with file and line."""
        taken = {axis for grid in self._grids.values() for axis in grid.axes}
        unused = [axis for axis in self.study.axes if axis not in taken]
        return [
            *self._notes,
            *(
                f"{self.study.where('axes', axis)}: no stage has the axis {axis!r}"
                for axis in unused
            ),
            *self._notes_on_equal_inputs(),
            *self._notes_on_entries(),
        ]

    def _notes_on_equal_inputs(self) -> Iterator[str]:
        """Yield a note on every stage whose jobs hold one thing against itself."""
        used = {(job.stage, name) for job in self.jobs for name in job.used}
        for stage in self.study.stages.values():
            for second, wanted in self._kinds[stage.name].INPUTS.items():
                first = wanted.other_than
                if first is None or (stage.name, second) not in used:
                    continue
                source = stage.inputs[second]
                if stage.inputs.get(first) != source:
                    continue
                where = self.study.where("stages", stage.name, "inputs", second)
                another = (
                    f"; another cell is {{stage: {source.stage}, where: {{AXIS: VALUE}}}}"
                    if self._grids[source.stage].axes
                    else ""
                )
                yield f"{where}: {first!r} and {second!r} are one job in every cell{another}"

    def _notes_on_entries(self) -> list[str]:
        """Return a note on each own entry that no job uses."""
        used = {name.removeprefix(PIN) for job in self.jobs for name in job.pins}
        where = self.study.where("entries")
        if self.study.entries is not None and not self._own.entries:
            return [f"{where}: the folder {self.study.entries} holds no entry"]
        return [
            f"{where}: no job uses the study's own {path}: nothing names it"
            for path in self._own.codes
            if path not in used and not self._outside.is_recorded_enough
        ]
