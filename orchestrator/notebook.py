"""Reading a root from a notebook: its studies, their measurements as a DataFrame, their stores.

    root = open_root("results")
    study = root.study("gpt2-toxicity")
    study.measurements()
    study.activations("delta", model="gpt2-medium", objective="dpo", seed=0, condition="plain")

Nothing is planned or written; what stands in the records is what there is.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError, unknown_name
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Cell
from jobs.kind import KINDS
from jobs.provenance import Results
from jobs.worker.measured_rows import FILE
from orchestrator.plan.study_folder import known_studies, launched_jobs
from orchestrator.study.names import value_name

if TYPE_CHECKING:
    import pandas as pd

    from jobs.comparing.gathering import Source
    from jobs.store.activation_store import ActivationStore

_Jobs = Sequence[tuple[Cell, Artifact]]


def open_root(path_or_url: str | Path) -> "Root":
    """An output root, for reading. Raises UserError when no study was launched there."""
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
        """One of them. Raises UserError with the nearest match."""
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
        """The cells of a stage, done or not."""
        return [cell for cell, _ in self._stage(stage)]

    def artifact(self, stage: str, **cell: Any) -> Artifact:
        """What the one job left whose cell has these values.

        Raises UserError when there are none or several such cells, or it is not done.
        """
        jobs = self._stage(stage)
        axes = {axis for each, _ in jobs for axis in each}
        for axis in cell:
            if axis not in axes:
                raise unknown_name("axis", axis, axes, where=f"stage {stage!r}")
        wanted = {axis: value_name(value) for axis, value in cell.items()}
        found = [(each, made) for each, made in jobs if wanted.items() <= each.items()]
        if len(found) != 1:
            shown = [_shown(each) for each, _ in found or jobs]
            raise UserError(
                f"{len(found)} cells of stage {stage!r} have {_shown(wanted) or 'no axis given'}",
                where=f"study {self.name}",
                allowed=shown[:20],
            )
        ((one, artifact),) = found
        if artifact.find_record() is None:
            raise UserError(
                f"{stage} {_shown(one)} is not done",
                where=artifact.folder,
                hint=f"`deltascale status {self.name}` says why",
            )
        return artifact

    def activations(self, stage: str, **cell: Any) -> "ActivationStore":
        """Open the activation store that one cell of a stage leaves. Raises as `artifact`."""
        from jobs.store.activation_store import ActivationStore

        artifact = self.artifact(stage, **cell)
        if not _leaves_store(artifact):
            stores = [name for name in self._jobs if _leaves_store(self._stage(name)[0][1])]
            raise UserError(f"stage {stage!r} leaves no activation store", allowed=stores)
        return ActivationStore(artifact)

    def measurements(self) -> "pd.DataFrame":
        """All measurements in the long table's columns; what is not done yet has its reason."""
        import pandas as pd

        from jobs.comparing.comparison import long_table
        from jobs.comparing.gathering import collect

        found = [
            source
            for stage, jobs in self._jobs.items()
            if not KINDS.find(jobs[0][1].kind).GATHERS
            for source in self._sources(stage, jobs)
        ]
        return pd.read_parquet(io.BytesIO(long_table(collect(found), "parquet")))

    def _sources(self, stage: str, jobs: "_Jobs") -> "list[Source]":
        """The jobs of a stage, done or not, when some of them measured something."""
        from jobs.comparing.gathering import Source

        done = {artifact.key for _, artifact in jobs if artifact.find_record() is not None}
        if not any(FILE in each.record.files for _, each in jobs if each.key in done):
            return []
        return [
            Source(stage=stage, cell=cell, artifact=artifact)
            if artifact.key in done
            else Source(
                stage=stage,
                cell=cell,
                artifact=None,
                status="not_run",
                reason=f"{stage} is not done",
            )
            for cell, artifact in jobs
        ]

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


def _leaves_store(artifact: Artifact) -> bool:
    kind = KINDS.get(artifact.kind)
    return kind is not None and kind.LEAVES is Results.STORE


def _shown(cell: Mapping[str, str]) -> str:
    return ", ".join(f"{axis}={value}" for axis, value in cell.items())
