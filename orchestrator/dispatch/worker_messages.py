"""Both ways between a `Job` and a worker: the assignment, `job.json`, what came back."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

from cluster.disk.temp_folders import private_base
from cluster.errors import DeltascaleError
from cluster.executor import Ending, Outcome
from cluster.fault_classes import FaultClass
from cluster.readable_json import readable_json
from cluster.storage import Storage
from jobs.artifacts.job import InputRef, Job
from jobs.kind import KINDS, Fit
from jobs.text.hub_data import as_on_hub
from jobs.worker.answer import Answer, State
from jobs.worker.assignment import Assignment
from orchestrator.diagnosis.diagnosis import Diagnosis
from orchestrator.records.failure import (
    FAILURES,
    Result,
    class_of_result,
    is_for_all,
    result_of_class,
)

ENTRY = "jobs.run:run"
"""Entry point that executors call in the worker."""
BATCH_ENTRY = "jobs.run:run_batch"
"""The same, for several jobs in turn."""
_MOST_WRITTEN_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Assigner:
    """Makes the assignments of one launch, from what they all have in common."""

    storage: Storage
    """The output root."""
    root_id: str
    """Identity of the root, for mirrors that many roots share."""
    study: str
    """Name of the study."""
    commit: str | None
    """Commit of this code."""
    visible_within_s: float = 0.0
    """How long a record may be hidden from a machine after another one wrote it."""
    is_root_marked: bool = False
    """Whether the root holds its `root.json`, as it does from the start of a launch on."""
    chaos: str = ""
    """Folder of the root with the faults to inject on purpose; empty: none."""
    is_hub_offline: bool = False
    """Whether jobs find in the root what they need of the hub, and leave the hub alone."""

    def assignment(
        self, job: Job, attempt: str, worker: int = 0, layout: Fit | None = None
    ) -> Assignment:
        """Make what a worker is handed for one attempt at a job.

        Args:
            job: the job.
            attempt: id of the attempt.
            worker: number of the worker among those that share the job.
            layout: what the plan expects of the job, where it does.
        """
        same = {name for name, value in job.identity_params.items() if job.params[name] == value}
        others = {name: job.params[name] for name in job.params if name not in same}
        return Assignment(
            root=self.storage.url,
            root_id=self.root_id,
            study=self.study,
            kind=job.kind,
            key=job.key,
            label=job.label,
            identity_params=job.identity_params,
            own_params=as_on_hub(others, self.storage),
            pins=job.pins,
            inputs=_select_inputs(job),
            attempt=attempt,
            worker=worker,
            num_workers=job.workers,
            threads=max(1, int(job.resources.num_cpus)),
            commit=self.commit,
            mirror_folder=str(self.mirror_folder) if self.storage.is_local else "",
            stage=job.stage,
            axis_values=dict(job.axis_values or job.cell),
            is_root_marked=self.is_root_marked,
            visible_within_s=self.visible_within_s,
            own_code=job.own_code,
            chaos=self.chaos,
            peak_memory_gb=(layout and layout.peak_memory_gb) or 0.0,
            is_hub_offline=self.is_hub_offline
            and not KINDS.find(job.kind).pushes(job.params_as(KINDS.find(job.kind).Params)),
        )

    @cached_property
    def mirror_folder(self) -> Path:
        """Local folder for W&B's own files."""
        if self.storage.is_local:
            return self.storage.path(f"studies/{self.study}/wandb")
        return private_base() / f"wandb-{self.root_id}"


class RequestWriters:
    """Writes what is asked of jobs, several at once: each waits for the storage.

    Its threads end with its block.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_MOST_WRITTEN_AT_ONCE, "requests")

    def __enter__(self) -> Self:
        """Return itself; a thread is started when there is something for it to do."""
        return self

    def __exit__(self, *fault: object) -> None:
        """Wait until all is written."""
        self._threads.shutdown()

    def write(self, storage: Storage, jobs: Sequence[Job]) -> Mapping[str, DeltascaleError]:
        """Write the `job.json` of jobs that have none.

        Returns:
            Key -> fault, of the jobs in whose place something lies that every attempt would meet.
        """
        writes = partial(_fault_of_request, storage)
        faults = map(writes, jobs) if len(jobs) < 2 else self._threads.map(writes, jobs)
        return {job.key: fault for job, fault in zip(jobs, faults, strict=True) if fault}


def _fault_of_request(storage: Storage, job: Job) -> DeltascaleError | None:
    try:
        write_request(storage, job, syncs_names=False)
    except DeltascaleError as fault:
        if is_for_all(fault.fault_class):
            return fault
        raise
    return None


def write_request(storage: Storage, job: Job, *, syncs_names: bool = True) -> None:
    """Write `job.json`, which says what was asked for, unless the job has one.

    Params and resources are those of the first attempt; the ledger has those of each.

    Args:
        storage: the output root.
        job: the job.
        syncs_names: False where the caller syncs the names of several jobs' folders at once. The
            name `job.json` itself is synced with that of the record, which is in the same folder.
    """
    name = f"{job.folder}/job.json"
    if storage.size(name) is not None:
        return
    request: dict[str, Any] = {
        "key": job.key,
        "kind": job.kind,
        "version": job.version,
        "stage": job.stage,
        "cell": dict(job.cell),
        "params": as_on_hub(job.params, storage),
        "identity": job.identity,
        "inputs": {
            name: [ref.to_json(with_values=job.gathers) for ref in refs]
            for name, refs in _select_inputs(job).items()
        },
        "resources": asdict(job.resources),
    }
    storage.create(name, readable_json(request), syncs_names=syncs_names)


@dataclass(frozen=True, kw_only=True)
class AttemptResult:
    """What one attempt came to, as far as the worker and the executor know."""

    result: Result
    """How it ended; a `DONE` is believed once the record has been seen."""
    seconds: float | None = None
    """Wall time the worker reports."""
    turn_s: float | None = None
    """How long it put off others of its call, where that is less."""
    message: str | None = None
    """What went wrong."""
    fraction: float | None = None
    """How far it was when it failed; None: not known, or it did not fail."""
    fault_class: FaultClass | None = None
    """Whose fault it is that it failed; None where it did not."""
    node: str | None = None
    """The node that it failed or ran on, of several the one that failed; None: not known."""
    peak_gb: float | None = None
    """Most host memory that the worker's process held meanwhile; None: not measured."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What the worker knows of its failure; empty where it did not fail, or died."""
    diagnosis: Diagnosis | None = None
    """What its failure was, once its words were read; None where it did not fail."""
    has_saved: bool = False
    """Whether it was asked to stop and has saved its work."""


def result_of(outcome: Outcome) -> AttemptResult:
    """Read what an executor reports and what the worker answered."""
    if outcome.ending in _ENDINGS:
        result, fault_class = _ENDINGS[outcome.ending], outcome.fault_class
        if fault_class is not None and result in FAILURES:
            result = result_of_class(fault_class)
        return AttemptResult(
            result=result,
            message=outcome.error,
            fault_class=fault_class or class_of_result(result),
            node=outcome.node,
        )
    assert outcome.answer is not None, "a call returned, and nothing came with it"
    answer = Answer.from_json(outcome.answer)
    if answer.fault is None:
        state = _STATES[answer.state]
        return AttemptResult(
            result=state,
            seconds=answer.seconds,
            turn_s=answer.turn_s,
            node=outcome.node,
            peak_gb=answer.peak_gb,
            has_saved=answer.state is State.STOPPED,
        )
    return AttemptResult(
        result=result_of_class(answer.fault.fault_class),
        seconds=answer.seconds,
        message=answer.fault.message,
        fault_class=answer.fault.fault_class,
        node=answer.node or outcome.node,
        evidence=answer.evidence,
    )


_ENDINGS = {
    Ending.CANCELLED: Result.CANCELLED,
    Ending.LOST: Result.LOST,
    Ending.NO_ROOM: Result.NO_ROOM,
    Ending.OUT_OF_MEMORY: Result.OUT_OF_MEMORY,
    Ending.RAISED: Result.ERROR,
}
_STATES = {
    State.DONE: Result.DONE,
    State.REUSED: Result.REUSED,
    State.BUSY: Result.BUSY,
    State.STOPPED: Result.CANCELLED,
    State.INTERRUPTED: Result.CANCELLED,
}


def _select_inputs(job: Job) -> dict[str, list[InputRef]]:
    """Return the inputs that the job's params make it use; the others are not even opened.

    Typed values go along only where the job gathers: its table shows them.
    """
    return {
        name: [ref if job.gathers else replace(ref, values={}) for ref in job.inputs[name]]
        for name in sorted(job.inputs)
        if name in job.used
    }
