"""Plans of probes, and launches of them in this process."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cluster.executor import Executor
from cluster.executors.local import Executor as LocalExecutor
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import InputRef, Job
from jobs.kinds.probe import Probe
from jobs.params import execution_names
from orchestrator.dispatch.execution import LaunchReport, run_study
from orchestrator.records.history import read_history
from orchestrator.records.launch_id import new_launch_id

probe = Probe()

OF_THE_PROCESS = {"signs of life", "heartbeats"}
"""Threads that a process has once, for whatever runs in it."""


@pytest.fixture
def root(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "results")


@pytest.fixture
def make_probe() -> Callable[..., Job]:
    def make(index: int, after: Job | None = None, **settings: Any) -> Job:
        params = probe.Params(index=index, waits=after is not None, **settings)
        inputs = {}
        if after is not None:
            inputs["after"] = [
                InputRef(kind="probe", key=after.key, stage=after.stage, cell=after.cell)
            ]
        return Job(
            kind="probe",
            version=probe.VERSION,
            params=params.model_dump(),
            identity_params=params.model_dump(exclude=execution_names(probe.Params)),
            inputs=inputs,
            used=probe.uses(params),
            stage="probes",
            cell={"index": str(index)},
            resources=probe.resources(params),
            workers=probe.workers(params),
        )

    return make


class CountingExecutor(LocalExecutor):
    """The local executor, and how often it was started."""

    num_starts = 0

    def start(self) -> None:
        self.num_starts += 1
        super().start()


@dataclass(kw_only=True)
class Launcher:
    """Launches jobs on one root, one study."""

    root: Storage
    executor: Executor = field(default_factory=CountingExecutor)

    def __call__(self, jobs: Sequence[Job], **options: Any) -> LaunchReport:
        """Launch; what has a record counts as done, as a planner would say.

        However it ends, it leaves none of its threads behind.
        """
        found = {job.key for job in jobs if self.artifact(job).find_record() is not None}
        before = set(threading.enumerate())
        try:
            return run_study(
                jobs,
                **{
                    "done": found - set(options.get("stale", ())),
                    "storage": self.root,
                    "study": "study",
                    "launch": new_launch_id(),
                    "executor": self.executor,
                    "executor_name": "local",
                    "past": read_history(self.root, "study"),
                    **options,
                },
            )
        finally:
            left = {thread.name for thread in set(threading.enumerate()) - before}
            assert left <= OF_THE_PROCESS, left

    def artifact(self, job: Job) -> Artifact:
        return Artifact(self.root, job.kind, job.key)


@pytest.fixture
def launch(root: Storage) -> Launcher:
    return Launcher(root=root)
