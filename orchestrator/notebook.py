"""Reads a root from a notebook: its studies, their measurements as a DataFrame, their stores.

    root = open_root("results")
    study = root.study("gpt2-toxicity")
    study.measurements()
    study.activations("delta", model="gpt2-medium", objective="dpo", seed=0, condition="plain")

Nothing is planned or written: the answers come from the records of finished jobs.
"""

import io
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import UserError, unknown_name
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import AxisValues, Cell, Scalar
from jobs.kind import KINDS
from jobs.provenance import Results
from jobs.worker.measured_rows import FILE
from orchestrator.plan.own_code import recorded_entries
from orchestrator.plan.study_folder import launched_jobs, open_study
from orchestrator.records.launched_studies import known_studies
from orchestrator.study.names import value_name
from orchestrator.study.study import Axis

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from jobs.comparing.sources import Source
    from jobs.store.activation_store import ActivationStore

_Jobs = Sequence[tuple[Cell, Artifact]]


def open_root(path_or_url: str | Path) -> "Root":
    """Open an output root for reading.

    Args:
        path_or_url: a folder, or a URL such as `s3://bucket/results`.

    Returns:
        The root.

    Raises:
        UserError: no study was launched there.
    """
    root = Root(storage=Storage(path_or_url))
    if not root.studies:
        raise UserError("no study was launched under this root", where=root.storage.url)
    return root


@dataclass(frozen=True, kw_only=True)
class Root:
    """An output root."""

    storage: Storage
    """Where it is."""

    @property
    def studies(self) -> list[str]:
        """Names of the studies that were launched here."""
        return known_studies(self.storage)

    def study(self, name: str) -> "LaunchedStudy":
        """Return one of the studies.

        Args:
            name: as the study file names it.

        Raises:
            UserError: there is no such study; the hint names the nearest match.
        """
        if name not in self.studies:
            raise unknown_name("study", name, self.studies, where=self.storage.url)
        return LaunchedStudy(name=name, storage=self.storage)


@dataclass(frozen=True, kw_only=True)
class LaunchedStudy:
    """A study as it was launched last."""

    name: str
    """Its name."""
    storage: Storage
    """The root."""

    @property
    def stages(self) -> list[str]:
        """Its stages, in the order of the study file."""
        return list(self._jobs)

    def cells(self, stage: str) -> list[Cell]:
        """List the cells of a stage, done or not: axis -> label.

        Args:
            stage: its name.

        Raises:
            UserError: there is no such stage.
        """
        return [cell for cell, _ in self._stage(stage)]

    def artifact(self, stage: str, **cell: Scalar) -> Artifact:
        """Return what the one job left whose cell has these values.

        Args:
            stage: its stage.
            cell: axis=value; enough of them to tell the cell from all others.

        Raises:
            UserError: there are no or several such cells, or the job is not done.
        """
        jobs = self._stage(stage)
        axes = {axis for own_cell, _ in jobs for axis in own_cell}
        for axis in cell:
            if axis not in axes:
                raise unknown_name("axis", axis, axes, where=f"stage {stage!r}")
        wanted = {axis: value_name(value) for axis, value in cell.items()}
        matches = [job for job in jobs if wanted.items() <= job[0].items()]
        if len(matches) != 1:
            raise UserError(
                f"{len(matches)} cells of stage {stage!r} match "
                f"{_cell_text(wanted) or 'no given value'}, not one",
                where=f"study {self.name}",
                allowed=[_cell_text(own_cell) for own_cell, _ in matches or jobs][:20],
            )
        ((own_cell, artifact),) = matches
        if artifact.find_record() is None:
            raise UserError(
                f"{stage} {_cell_text(own_cell)} is not done",
                where=artifact.folder,
                hint=f"`deltascale status {self.name}` says why",
            )
        return artifact

    def activations(self, stage: str, **cell: Scalar) -> "ActivationStore":
        """Open the activation store that the job of one cell left.

        Args:
            stage: a stage that extracts activations.
            cell: axis=value; enough of them to tell the cell from all others.

        Raises:
            UserError: there are no or several such cells, the job is not done, or jobs of this
                stage leave no activation store.
        """
        from jobs.store.activation_store import ActivationStore

        artifact = self.artifact(stage, **cell)
        if (gone := artifact.record.let_go) is not None:
            day = time.strftime("%Y-%m-%d", time.localtime(gone.at))
            at = _cell_text({axis: value_name(value) for axis, value in cell.items()})
            raise UserError(
                f"what {stage} {at} extracted was let go on {day}, once all that "
                "read it were done (`keep: until-read`)",
                where=f"study {self.name}",
                hint=f"take `keep` from the stage {stage!r}; `deltascale launch` of the study file "
                "makes it again, and `deltascale plan` says what that costs",
            )
        with recorded_entries(self.storage, self.name).bringing():
            if not _leaves_store(artifact):
                stores = [name for name in self._jobs if _leaves_store(self._stage(name)[0][1])]
                raise UserError(f"stage {stage!r} leaves no activation store", allowed=stores)
        return ActivationStore(artifact)

    def measurements(self) -> "pd.DataFrame":
        """Return all measurements in the long table's columns, one row each.

        What is not done yet has a row with its status and reason.
        """
        import pandas as pd

        from jobs.comparing.comparison import long_table
        from jobs.comparing.gathering import collect

        with recorded_entries(self.storage, self.name).bringing():
            sources = [
                source
                for stage, jobs in self._jobs.items()
                if not _gathers(jobs[0][1].kind)
                for source in self._sources(stage, jobs)
            ]
            return pd.read_parquet(io.BytesIO(long_table(collect(sources), "parquet")))

    def telemetry(self, table: str = "attempts") -> "pd.DataFrame":
        """Return what attempts used, of all launches: empty where nothing was kept.

        Behind the columns that were kept stand the axes of the study, as in `measurements`; an axis
        that is called as one of them is in `cell` alone.

        Args:
            table: `attempts`, a line per attempt that lasted a second at least, or `samples`, a
                line per rank and look.

        Raises:
            UserError: there is no such table.
        """
        from jobs.telemetry.columns import TABLES
        from jobs.telemetry.reading import read_telemetry

        if table not in TABLES:
            raise unknown_name("table", table, TABLES, where=f"study {self.name}")
        kept = read_telemetry(self.storage, self.name, table)
        axes: Mapping[str, Axis] = {}
        with suppress(UserError):  # what was kept can be read where the study's record cannot
            axes = self._axes
        texts = kept["cell"].to_pylist() if axes else []
        cells = [self._values_of(_cell_in(text)) for text in texts]
        for axis in axes:
            if axis not in kept.column_names:
                kept = kept.append_column(axis, _column([cell.get(axis) for cell in cells]))
        frame: pd.DataFrame = kept.to_pandas()
        return frame

    def _sources(self, stage: str, jobs: "_Jobs") -> "list[Source]":
        """List the jobs of a stage, done or not; none when no job has measured anything."""
        from jobs.comparing.sources import Source

        done = {artifact.key for _, artifact in jobs if artifact.find_record() is not None}
        if not any(FILE in artifact.record.files for _, artifact in jobs if artifact.key in done):
            return []
        return [
            Source(stage=stage, cell=cell, values=self._values_of(cell), artifact=artifact)
            if artifact.key in done
            else Source(
                stage=stage,
                cell=cell,
                values=self._values_of(cell),
                artifact=None,
                status="not_run",
                reason=f"{stage} is not done",
            )
            for cell, artifact in jobs
        ]

    def _values_of(self, cell: Cell) -> AxisValues:
        """Return the values that a cell's labels stand for in the study as it was launched."""
        axes = self._axes
        return {
            axis: axes[axis].value_of(label)
            for axis, label in cell.items()
            if axis in axes and label in axes[axis].values
        }

    @cached_property
    def _axes(self) -> Mapping[str, Axis]:
        return open_study(self.storage, self.name).axes

    @property
    def _jobs(self) -> Mapping[str, _Jobs]:
        return {
            stage: [(cell, Artifact(self.storage, kind, key)) for cell, kind, key in jobs]
            for stage, jobs in launched_jobs(self.storage, self.name).items()
        }

    def _stage(self, stage: str) -> _Jobs:
        jobs = self._jobs
        if stage not in jobs:
            raise unknown_name("stage", stage, jobs, where=f"study {self.name}")
        return jobs[stage]


def _gathers(kind: str) -> bool:
    known = KINDS.get(kind)
    return known is not None and known.GATHERS


def _leaves_store(artifact: Artifact) -> bool:
    kind = KINDS.get(artifact.kind)
    return kind is not None and kind.LEAVES is Results.STORE


def _cell_in(text: str | None) -> dict[str, str]:
    """Read a cell as telemetry writes it, `axis=label,…`: labels hold neither sign."""
    parts = (part.partition("=") for part in (text or "").split(","))
    return {axis: label for axis, sign, label in parts if sign}


def _column(values: Sequence[Scalar | None]) -> "pa.Array":
    """Return values of an axis as a column: numbers as numbers, values of unlike types as text."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except pa.ArrowException:
        return pa.array([None if value is None else value_name(value) for value in values])


def _cell_text(cell: Mapping[str, str]) -> str:
    return ", ".join(f"{axis}={value}" for axis, value in cell.items())
