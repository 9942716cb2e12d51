"""`UnsentRun`: a run of which this machine has what W&B does not, and how its pieces join."""

import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from cluster.storage import Storage
from jobs.mirror.pieces import Piece, pieces_in, unsent
from jobs.mirror.run_name import run_id
from orchestrator.mirroring.names import files_of_mirror, live_name, summary_name
from orchestrator.plan.study_folder import launched_jobs
from orchestrator.records.history import History, read_history
from orchestrator.records.lock import current_holder
from orchestrator.records.root_file import root_id

_SETTLES_S = 30.0
"""While a launch runs, a piece that was written to so lately may still grow."""


@dataclass(frozen=True, kw_only=True)
class UnsentRun:
    """A run and its pieces on this machine."""

    run: str
    """Id of the run in W&B."""
    label: str
    """How people read it: the job's label, or the id where the plan has no such job any more."""
    pieces: Sequence[Piece]
    """Its pieces that are to be sent, in the order they join."""
    num_sent: int
    """Pieces of it that W&B has."""


@dataclass(frozen=True, kw_only=True)
class Unsent:
    """What of a study is to be sent."""

    folder: Path
    """Folder of W&B's files on this machine."""
    runs: Sequence[UnsentRun]
    """Runs with pieces to send."""
    num_sent: int
    """Runs of which W&B has all that this machine has."""
    running: Sequence[str]
    """Labels of the runs that are written now: they are sent once they have ended."""


def find_unsent(root: Storage, study: str) -> Unsent:
    """Look for pieces of a study's runs on this machine.

    Args:
        root: the output root.
        study: name of the study.
    """
    folder, labels = files_of_mirror(root, study), _labels(root, study)
    found = pieces_in(folder)
    if not root.is_local:  # where runs of all studies of the root lie together
        found = {run: pieces for run, pieces in found.items() if run in labels}
    being_written = _being_written(root, study)
    runs, running, num_sent = [], [], 0
    for run, pieces in found.items():
        left, label = unsent(pieces), labels.get(run, run)
        if not left:
            num_sent += 1
        elif being_written is not None and _grows(run, left, being_written):
            running.append(label)
        else:
            num_before = sum(piece not in left for piece in pieces)
            runs.append(UnsentRun(run=run, label=label, pieces=left, num_sent=num_before))
    return Unsent(folder=folder, runs=runs, num_sent=num_sent, running=running)


def _labels(root: Storage, study: str) -> dict[str, str]:
    identity = root_id(root)
    labels = {
        run_id(identity, key): f"{stage}[{','.join(f'{a}={v}' for a, v in cell.items())}]"
        for stage, jobs in launched_jobs(root, study).items()
        for cell, _, key in jobs
    }
    ours = [summary_name(root, study, ""), live_name(root, study, "")]
    return labels | {name.id: name.label for name in ours}


def _being_written(root: Storage, study: str) -> Set[str] | None:
    """Return the ids of the runs that a launch is writing now; None where no launch runs."""
    if current_holder(root, study) is None:
        return None
    past: History = read_history(root, study)
    identity = root_id(root)
    keys = [key for key, job in past.jobs.items() if job.open]
    return {run_id(identity, key) for key in keys} | {live_name(root, study, "").id}


def _grows(run: str, pieces: Sequence[Piece], being_written: Set[str]) -> bool:
    return run in being_written or time.time() - pieces[-1].written_at < _SETTLES_S
