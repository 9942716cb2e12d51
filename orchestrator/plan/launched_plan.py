"""The plan that a running launch wrote down under its lock, for who looks on while it runs.

To look at 10,000 jobs need not plan them again and read 10,000 records: the launch has. What it
found done had its record read under the lock, and what it has run since is in the ledger once its
record was read back. Whoever decides anything reads records instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.checked_json import parse_json, read_file
from cluster.disk.disk_faults import ForeignEntry
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.identity import KEY_LENGTH
from jobs.artifacts.job import InputRef, Job
from orchestrator.records.failure import Result
from orchestrator.records.history import History
from orchestrator.records.lock import current_holder

_REUSE = "reuse"
_UNDONE = frozenset({"new", "changed"})
"""Decisions on jobs of which there was no record: one that is there now was made since.

They are words of `Decision`, whose module alone takes a tenth of a second to import.
"""


@dataclass(frozen=True, kw_only=True)
class LaunchedPlan:
    """The jobs of a launch as they were decided when it began."""

    launch: str
    """Id of the launch."""
    jobs: Sequence[Job]
    """The jobs in the plan's order: enough of each to show it, not to run it."""
    decisions: Mapping[str, str]
    """Key -> what was decided."""
    hours: Mapping[str, float]
    """Key -> wall time that was expected of it, in hours, where that was known."""
    num_gpus: Mapping[str, float]
    """Key -> accelerators that it is to hold."""
    left_out: frozenset[str]
    """Keys of jobs that the launch is not to run (`--only`)."""
    num_let_go: int
    """Jobs whose large files were let go after they were done."""

    def done(self, root: Storage, past: History) -> set[str]:
        """Return the keys of the jobs that are done now.

        No record is read of what the launch found done or has finished, only that its folder is
        there. What it was not at may have been done by another launch: there the record is read.
        """
        folders: dict[str, frozenset[str]] = {}
        done = set()
        for job in self.jobs:
            if job.kind not in folders:
                folders[job.kind] = frozenset(root.list(f"artifacts/{job.kind}"))
            if job.key16 in folders[job.kind] and self._is_done(root, past, job):
                done.add(job.key)
        return done

    def _is_done(self, root: Storage, past: History, job: Job) -> bool:
        of_job, decision = past.of_job(job.key), self.decisions[job.key]
        is_of_launch = of_job.attempt is not None and of_job.attempt.startswith(self.launch)
        if is_of_launch or decision == _REUSE:
            return of_job.result is Result.DONE if is_of_launch else True
        if decision not in _UNDONE:
            return False
        try:
            return Artifact(root, job.kind, job.key).find_record() is not None
        except ForeignEntry:
            return False


def read_running(root: Storage, study: str) -> LaunchedPlan | None:
    """Read the plan of the launch that runs: what is asked of it is asked of these jobs.

    The study's file may have been edited since. None where none runs, or its plan is not there.
    """
    holder = current_holder(root, study)
    return None if holder is None else read_launched(root, study, holder.launch)


def read_launched(root: Storage, study: str, launch: str) -> LaunchedPlan | None:
    """Read the plan of a launch; None where another one's is there, or none that can be read."""
    try:
        data = read_file(root, f"studies/{study}/plan.json")
        document = parse_json(data or b"null")
        if not isinstance(document, dict) or document.get("launch") != launch:
            return None
        return _plan_of(document)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # damaged, or of a version that wrote less: whoever asked plans again


def _plan_of(document: Mapping[str, Any]) -> LaunchedPlan:
    jobs: list[Job] = []
    refs: dict[str, InputRef] = {}
    entries = document["jobs"]
    for entry in entries:
        job = _job_of(entry, refs)
        refs[job.key16] = InputRef(kind=job.kind, key=job.key, stage=job.stage, cell=job.cell)
        jobs.append(job)
    hours = {entry["key"]: entry["hours"] for entry in entries if entry["hours"] is not None}
    return LaunchedPlan(
        launch=document["launch"],
        jobs=jobs,
        decisions={entry["key"]: entry["decision"] for entry in entries},
        hours=hours,
        num_gpus={entry["key"]: float(entry["num_gpus"]) for entry in entries},
        left_out=frozenset(document.get("left_out", ())),
        num_let_go=len({entry["key"] for entry in entries if entry["let_go"]}),
    )


def _job_of(entry: Mapping[str, Any], refs: Mapping[str, InputRef]) -> Job:
    """Make a job that has its key without the params that it follows from."""
    job = Job(
        kind=entry["kind"],
        version=0,
        params={},
        identity_params={},
        inputs={"needs": [refs[key] for key in entry["needs"]]},
        used=frozenset({"needs"}),
        stage=entry["stage"],
        cell=entry["cell"],
    )
    if not isinstance(entry["key"], str) or len(entry["key"]) <= KEY_LENGTH:
        raise ValueError("it is no key")
    job.__dict__["key"] = entry["key"]  # a cached property
    return job
