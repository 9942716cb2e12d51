"""Names of the runs in W&B that a study leaves, and the local folder that holds their files."""

from pathlib import Path

from cluster.storage import Storage
from jobs.mirror.run_name import RunName
from orchestrator.dispatch.worker_messages import Assigner
from orchestrator.records.root_file import root_id


def files_of_mirror(root: Storage, study: str) -> Path:
    """Return this machine's folder of W&B's files: the study's own, on a remote root its root's."""
    return _assigner(root, study).mirror_folder


def summary_name(root: Storage, study: str, launch: str) -> RunName:
    """Name the run that holds a study's outcome."""
    return _name(root, study, launch, "summary", finishes_within_s=60.0)


def live_name(root: Storage, study: str, launch: str) -> RunName:
    """Name the run that follows a study while it runs, launch after launch."""
    return _name(root, study, launch, "live", finishes_within_s=15.0)


def _name(
    root: Storage, study: str, launch: str, kind: str, *, finishes_within_s: float
) -> RunName:
    assigner = _assigner(root, study)
    return RunName(
        root_id=assigner.root_id,
        # As older versions named the summary.
        key=f"study {study}" if kind == "summary" else f"{kind} {study}",
        study=study,
        kind=kind,
        label=f"{study} {kind}",
        folder=str(assigner.mirror_folder),
        config={"stage": kind, "study": study, "root": assigner.root_id},
        tags=[study, kind],
        root=root.url,
        launch=launch,
        finishes_within_s=finishes_within_s,
    )


def _assigner(root: Storage, study: str) -> Assigner:
    return Assigner(storage=root, root_id=root_id(root), study=study, commit=None)
