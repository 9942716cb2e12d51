"""Both ways between a `Job` and a worker: the payload, `job.json`, what came back."""

import json
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cluster.errors import OutOfMemory
from cluster.executor import Ending, Outcome
from cluster.storage import Storage
from jobs.artifacts.job import Job
from orchestrator.records.failure import Result

ENTRY = "jobs.run:run"
"""Entry point that executors call in the worker."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What all submissions of one launch have in common."""

    storage: Storage
    """The output root."""
    root_id: str
    """Identity of the root, for mirrors that many roots share."""
    study: str
    """Name of the study."""
    commit: str | None
    """Commit of this code."""

    def payload(self, job: Job, attempt: str, worker: int = 0) -> str:
        """JSON for one attempt at a job, as worker number `worker` of those that share it."""
        return json.dumps(
            {
                "root": self.storage.url,
                "kind": job.kind,
                "version": job.version,
                "params": dict(job.params),
                "pins": dict(job.pins),
                "key": job.key,
                "attempt": attempt,
                "worker": worker,
                "num_workers": job.workers,
                "threads": max(1, int(job.resources.num_cpus)),
                "inputs": _inputs(job),
                "commit": self.commit,
                "tracking": {
                    "root_id": self.root_id,
                    "key": job.key,
                    "study": self.study,
                    "kind": job.kind,
                    "label": job.label,
                    "folder": str(self.mirror_folder),
                    "config": dict(job.identity_params),
                },
            }
        )

    @property
    def mirror_folder(self) -> Path:
        """Local folder for W&B's own files."""
        if self.storage.is_local:
            return self.storage.path(f"studies/{self.study}/wandb")
        return Path(tempfile.gettempdir()) / f"deltascale-wandb-{self.root_id}"


def root_id(storage: Storage) -> str:
    """The identity of an output root, drawn at first use; it moves with the root."""
    name = "root.json"
    storage.create(name, (json.dumps({"id": uuid.uuid4().hex}) + "\n").encode())
    found: str = json.loads(storage.read(name))["id"]
    return found


def write_request(storage: Storage, job: Job) -> None:
    """Put `job.json` beside the job's attempts, unless it stands there: what was asked.

    Params and resources are those of the first attempt; the ledger has those of each.
    """
    name = f"{job.folder}/job.json"
    if storage.size(name) is not None:
        return
    asked: dict[str, Any] = {
        "key": job.key,
        "kind": job.kind,
        "version": job.version,
        "stage": job.stage,
        "cell": dict(job.cell),
        "params": dict(job.params),
        "identity": job.identity,
        "inputs": _inputs(job),
        "resources": asdict(job.resources),
    }
    storage.create(name, (json.dumps(asked, indent=1, sort_keys=True) + "\n").encode())


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one attempt came to, as far as the worker and the executor know."""

    result: Result
    """How it ended; a `DONE` is believed once the record has been seen."""
    seconds: float | None = None
    """Wall time the worker reports."""
    message: str | None = None
    """What went wrong."""
    fraction: float | None = None
    """How far the job was when the machine stopped it; None: not known, or not stopped."""


def answer_of(outcome: Outcome) -> Answer:
    """Read what an executor reports and what `jobs.run` returned."""
    if outcome.ending in _ENDINGS:
        return Answer(result=_ENDINGS[outcome.ending], message=outcome.error)
    assert outcome.answer is not None, "a call returned, and nothing came with it"
    said = json.loads(outcome.answer)
    error = said["error"]
    if said["state"] == "failed":
        return Answer(result=_fault(error), seconds=said["seconds"], message=error["message"])
    return Answer(result=_RESULTS[said["state"]], seconds=said["seconds"])


def _fault(error: Mapping[str, Any]) -> Result:
    if error["type"] == OutOfMemory.__name__:
        return Result.OUT_OF_MEMORY
    return Result.MISTAKE if error["user"] else Result.ERROR


_ENDINGS = {
    Ending.CANCELLED: Result.CANCELLED,
    Ending.LOST: Result.LOST,
    Ending.NO_ROOM: Result.NO_ROOM,
    Ending.OUT_OF_MEMORY: Result.OUT_OF_MEMORY,
    Ending.RAISED: Result.ERROR,
}
_RESULTS = {
    "done": Result.DONE,
    "reused": Result.REUSED,
    "busy": Result.BUSY,
    "stopped": Result.CANCELLED,
}


def _inputs(job: Job) -> dict[str, list[dict[str, Any]]]:
    """The inputs that the job's params make it use; the others are not even opened."""
    return {
        name: [
            {
                "kind": ref.kind,
                "key": ref.key,
                "stage": ref.stage,
                "cell": dict(ref.cell),
                **({"values": dict(ref.values)} if job.gathers else {}),
            }
            for ref in job.inputs[name]
        ]
        for name in sorted(job.inputs)
        if name in job.used
    }
