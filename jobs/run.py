"""What a worker does with one job: open inputs, run the kind, publish the record last.

The entry point is `jobs.run:run`. It always returns JSON, `{state, seconds, error}`; the
executor reports only what a process cannot say of itself. Where several ranks do a job, each calls
it: the first claims, publishes and mirrors, and all return its answer. A rank that fails returns at
once and alone, which ends the others.
"""

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from cluster.errors import DeltascaleError, UserError
from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.claim import Busy, claimed
from jobs.kind import KINDS, Kind
from jobs.worker.gang import Gang
from jobs.worker.logs import captured, redacted
from jobs.worker.tracking import RunName, Silent, open_tracker
from jobs.worker.work import AttemptFolder, GatheredInput, Stopped, Work, log_name

_RECORDED = (
    "accelerate", "numpy", "safetensors", "tokenizers", "torch", "transformers", "trl",
)  # fmt: skip


def run(payload: str, surroundings: Surroundings) -> str:
    """Run one attempt at one job; `payload` is what `orchestrator.dispatch.submission` wrote.

    Returns:
        JSON `{"state": …, "seconds": float, "error": …}`. States: `done`, `reused` (a record stood
        there), `busy` (another attempt is at it), `stopped`, `failed`. An error is
        `{"type", "message", "user"}`, where user says that trying again cannot help.
    """
    spec = json.loads(payload)
    artifact = Artifact(Storage(spec["root"]), spec["kind"], spec["key"])
    gang = Gang(surroundings)
    if surroundings.rank > 0:
        return _begun(gang.of_first(None), spec, artifact, surroundings, gang)
    try:
        with claimed(artifact, shared=spec.get("num_workers", 1) > 1):
            found = gang.of_first("go" if artifact.find_record() is None else "reused")
            return _begun(found, spec, artifact, surroundings, gang)
    except Busy:
        return _answer(gang.of_first("busy"))


def _begun(
    found: str,
    spec: Mapping[str, Any],
    artifact: Artifact,
    surroundings: Surroundings,
    gang: Gang,
) -> str:
    """Attempt the job when there is something to do; all ranks found the same."""
    if found != "go":
        return _answer(found)
    answer = _attempted(spec, artifact, surroundings, gang)
    if json.loads(answer)["state"] == "failed":
        return answer
    agreed = gang.of_first(answer)
    assert isinstance(agreed, str), f"this rank ended with {answer}, the first goes on"
    return agreed


def _answer(state: str, seconds: float = 0.0, error: Mapping[str, Any] | None = None) -> str:
    return json.dumps({"state": state, "seconds": round(seconds, 3), "error": error})


def _attempted(
    spec: Mapping[str, Any], artifact: Artifact, surroundings: Surroundings, gang: Gang
) -> str:
    started = time.monotonic()
    attempt = AttemptFolder(artifact, spec["attempt"])
    state: str = "done"
    error: dict[str, Any] | None = None
    log = log_name(surroundings.rank)
    with captured(attempt.path / log):
        label = spec["tracking"]["label"]
        _tell(f"{label}: attempt {spec['attempt']}, {spec['threads']} threads{_among(spec)}{gang}")
        try:
            published = _attempt(spec, artifact, attempt, surroundings, gang, started)
            state = "done" if published else "reused"
        except (Stopped, KeyboardInterrupt):
            state = "stopped"
        except Exception as fault:  # the boundary: a fault becomes an answer and a log
            traceback.print_exc(file=sys.stderr)
            # An interrupt that meets a library's import or callback comes out as a fault of its.
            is_ours = isinstance(fault, UserError) or not surroundings.stop_requested()
            state, error = ("failed", _described(fault)) if is_ours else ("stopped", None)
        _tell(f"{label}: {state} after {time.monotonic() - started:.1f} s")
    if not artifact.storage.is_local:
        attempt.publish(log)
        attempt.discard_scratch()
    return _answer(state, time.monotonic() - started, error)


def _among(spec: Mapping[str, Any]) -> str:
    """Which worker this is, where several may share the job."""
    most = spec.get("num_workers", 1)
    return f", worker {spec['worker'] + 1} of at most {most}" if most > 1 else ""


def _tell(text: str) -> None:
    """A line of the job's log, with the time."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")


def _attempt(
    spec: Mapping[str, Any],
    artifact: Artifact,
    attempt: AttemptFolder,
    surroundings: Surroundings,
    gang: Gang,
    started: float,
) -> bool:
    kind = KINDS.find(spec["kind"])
    _set_threads(spec["threads"], kind)
    inputs = {
        name: [_opened(artifact.storage, ref) for ref in refs]
        for name, refs in spec["inputs"].items()
    }
    read = {
        found.artifact.key: found.artifact.record_digest
        for group in inputs.values()
        for found in group
    }
    # Two processes cannot write one run of the mirror.
    is_second = spec.get("worker", 0) or surroundings.rank
    tracker = Silent() if is_second else open_tracker(RunName(**spec["tracking"]))
    exit_code = 1
    try:
        facts = kind.run(
            Work(
                params=kind.Params(**spec["params"]),
                inputs=inputs,
                attempt=attempt,
                surroundings=surroundings,
                tracker=tracker,
                threads=spec["threads"],
                pins=spec.get("pins", {}),
                worker=spec.get("worker", 0),
                num_workers=spec.get("num_workers", 1),
                versions=_versions(),
                commit=spec["commit"],
            )
        )
        exit_code = 0
    finally:
        tracker.finish(exit_code)
    gang.of_first(None)  # nothing is published before all ranks are through
    published: bool = gang.of_first(
        surroundings.rank == 0 and _published(spec, artifact, attempt, read, facts, started)
    )
    return published


def _published(
    spec: Mapping[str, Any],
    artifact: Artifact,
    attempt: AttemptFolder,
    read: Mapping[str, str],
    facts: dict[str, Any],
    started: float,
) -> bool:
    """Make this attempt the artifact; False when another one's record stands already."""
    record = Record(
        key=artifact.key,
        kind=artifact.kind,
        attempt=attempt.attempt,
        files=attempt.seal(),
        inputs=read,
        facts=facts,
        versions=_versions(),
        commit=spec["commit"],
        threads=spec["threads"],
        seconds=round(time.monotonic() - started, 3),
    )
    if artifact.storage.create(artifact.record_name, record.to_json()):
        return True
    assert artifact.find_record() is not None, "another attempt's record stands here, invalid"
    return False


def _opened(storage: Storage, ref: Mapping[str, Any]) -> GatheredInput:
    return GatheredInput(
        stage=ref["stage"],
        cell=ref["cell"],
        artifact=Artifact(storage, ref["kind"], ref["key"]),
        values=ref.get("values", {}),
    )


def _set_threads(threads: int, kind: Kind[Any]) -> None:
    """Same thread count on every executor, so that one machine gives one set of bits."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import threadpoolctl

    if kind.USES_TORCH:
        import torch

        torch.set_num_threads(threads)
    # The variable above is read when a library is loaded; a warm worker has loaded numpy's BLAS
    # long ago (left at all cores, extraction of a tiny model took 4.2 s instead of 1.8 s).
    threadpoolctl.threadpool_limits(threads)


def _described(fault: Exception) -> dict[str, Any]:
    message = (
        str(fault) if isinstance(fault, DeltascaleError) else f"{type(fault).__name__}: {fault}"
    )
    return {
        "type": type(fault).__name__,
        "message": redacted(message),
        "user": isinstance(fault, UserError),
    }


@lru_cache
def _versions() -> dict[str, str]:
    installed = {name: metadata.version(name) for name in _RECORDED if _is_installed(name)}
    return {"python": sys.version.split()[0], **installed}


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


@lru_cache
def code_commit() -> str | None:
    """Commit of this checkout, with `+` when it has changes; None outside a checkout."""
    where = Path(__file__).parents[1]
    try:
        commit = _git(where, "rev-parse", "--short=12", "HEAD")
        changed = _git(where, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+" if changed else "")


def _git(where: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=where, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
